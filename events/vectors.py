"""Vectors of contents that the host app computes itself, in a space that the configuration names.

    PUT /contents {"embedding": [...]} --> content_vector --> `features.content_embeddings`, instead of its own encoders

A space is a model and a number of dimensions (`EMBEDDING_SPACE`, `EMBEDDING_DIMENSIONS`), and each vector is stamped
with the one it came in. Vectors of two spaces do not compare, so only those of the configured space are read: whoever
changes the model changes the setting and sends the vectors again, and until then a content counts as one without.
"""

import math
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

import numpy as np
from django.conf import settings
from django.db import connection
from numpy.typing import NDArray
from psycopg2 import Binary
from psycopg2.extras import execute_values

from events.models import ContentVector

_MOST: Final = 3.0e38
"""What a float32 holds."""
# A vector that is sent again unchanged leaves its moment as it was, and nobody reads it again.
_UPSERT: Final = """
    INSERT INTO content_vector (content_id, space, vector, changed_at) VALUES %s
    ON CONFLICT (content_id) DO UPDATE SET
        space = EXCLUDED.space, vector = EXCLUDED.vector, changed_at = EXCLUDED.changed_at
    WHERE (content_vector.space, content_vector.vector) IS DISTINCT FROM (EXCLUDED.space, EXCLUDED.vector)
"""


class InvalidVector(ValueError):
    """Numbers that are no vector of the configured space; the message says which and why."""


def space() -> str:
    """Name of the configured space, as in the column `space`; "" where no vectors are taken."""
    dimensions: int = settings.EMBEDDING_DIMENSIONS
    return f"given-{settings.EMBEDDING_SPACE}-{dimensions}" if dimensions else ""


def checked(value: Any) -> bytes:
    """Unit vector of the configured space, as float32 bytes, of the numbers of a request.

    Raises
    ------
    InvalidVector
        Naming the value: no list, of another length, with something that is no finite number, or all zeros.
    """
    wanted: int = settings.EMBEDDING_DIMENSIONS
    if not wanted:
        raise InvalidVector("is not taken: EMBEDDING_DIMENSIONS is not set on this server")
    if not isinstance(value, list):
        raise InvalidVector(f"must be a list of {wanted} numbers; got {type(value).__name__}")
    if len(value) != wanted:
        raise InvalidVector(f"must hold {wanted} numbers; got {len(value)}")
    for at, number in enumerate(value):
        # A bool is an int, and NaN compares with nothing.
        if type(number) not in (int, float) or not -_MOST <= number <= _MOST:
            raise InvalidVector(f"must hold finite numbers of 32 bits; got {str(number)[:40]!a} at {at}")
    # By the largest one first: squares of the smallest numbers there are would vanish.
    largest = max(map(abs, value))
    if not largest:
        raise InvalidVector("must not be zero: it would say nothing of the content")
    vector = np.array(value, np.float64) / largest
    unit: bytes = (vector / math.sqrt(float(vector @ vector))).astype("<f4").tobytes()
    return unit


def put(vectors: Mapping[str, bytes | None], *, now: datetime) -> None:
    """Set the vectors of some contents, and take away those of contents that have None now."""
    without = [content_id for content_id, vector in vectors.items() if vector is None]
    rows = [(key, space(), Binary(vector), now) for key, vector in sorted(vectors.items()) if vector is not None]
    with connection.wrap_database_errors, connection.cursor() as cursor:
        if without:
            cursor.execute("DELETE FROM content_vector WHERE content_id = ANY(%s)", [without])
        if rows:
            execute_values(cursor.cursor, _UPSERT, rows, page_size=1_000)


def changes() -> dict[str, datetime]:
    """Contents with a vector of the configured space, and when each changed last; without a query where none are."""
    if not space():
        return {}
    return dict(ContentVector.objects.filter(space=space()).values_list("content_id", "changed_at"))


def read(content_ids: Collection[str], *, space: str, dimensions: int) -> NDArray[np.float32]:
    """Vectors (n, d) of n contents in a space; zero rows for contents without one."""
    row_of = {content_id: row for row, content_id in enumerate(content_ids)}
    found = np.zeros((len(row_of), dimensions), np.float32)
    rows = ContentVector.objects.filter(content_id__in=list(row_of), space=space)
    for content_id, vector in rows.values_list("content_id", "vector"):
        found[row_of[content_id]] = np.frombuffer(vector, "<f4")
    return found


def sample(most: int, *, space: str, dimensions: int) -> NDArray[np.float32]:
    """The newest vectors of a space, at most so many."""
    newest = ContentVector.objects.filter(space=space).order_by("-changed_at").values_list("vector", flat=True)
    return np.array([np.frombuffer(each, "<f4") for each in newest[:most]], np.float32).reshape(-1, dimensions)
