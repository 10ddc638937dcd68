"""The newest of what was served, as matrices: what the watch over drift compares with earlier."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from features.extraction.definitions import FEATURES

# Backwards over the primary key: the newest rows without a look at the others.
_NEWEST: Final = """
    SELECT model_version, feature_set, score, features FROM served
    WHERE id > (SELECT coalesce(max(id), 0) - %(most)s FROM served) AND served_at >= %(since)s AND features <> ''
"""


@dataclass(frozen=True, slots=True)
class ServedSample:
    """Positions that a ranker scored, newest feature set only.

    Attributes
    ----------
    feature_set : hash of the list of features, "" where nothing was served
    names : one per column
    features : float32 array (n, columns)
    model_version : object array of str (n,)
    score : float64 array (n,)
    """

    feature_set: str
    names: tuple[str, ...]
    features: NDArray[np.float32]
    model_version: NDArray[np.object_]
    score: NDArray[np.float64]


def newest(since: datetime, *, most: int) -> ServedSample:
    """At most the `most` newest served positions since a moment."""
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST, {"most": most, "since": since})
        rows = cursor.fetchall()
    current = rows[-1][1] if rows else ""
    rows = [row for row in rows if row[1] == current and len(row[3]) == len(rows[-1][3])]
    features = np.array([np.frombuffer(row[3], "<f4") for row in rows], np.float32)
    width = features.shape[1] if rows else 0
    names = tuple(each.name for each in FEATURES) if width == len(FEATURES) else tuple(map(str, range(width)))
    return ServedSample(
        current, names, features.reshape(len(rows), width), np.array([row[0] for row in rows], object),
        np.array([row[2] for row in rows], np.float64),
    )  # fmt: skip
