"""What serving logged of the exposures a training learns from.

An exposure that names its request was ranked with features that lie in the log of served pages. A late event, an edited
profile or a model of behaviour fitted since would make a recomputed row differ from what the ranker saw, so the logged
row is what is learned from. Where the list of features has changed since, the moments that serving went by remain.
"""

from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from events.columnar.interactions import ABSENT, Interactions
from features.extraction.definitions import DEFAULTS, FEATURE_SET
from ranking import queries
from ranking.ranker.examples import Examples

_WIDTH = sum(len(values) for values in DEFAULTS.values())


@dataclass(frozen=True, slots=True)
class ServedExamples:
    """What is logged of n examples, in their order.

    Attributes
    ----------
    moment : float64 array (n,), seconds since 1970 UTC, when the page was ranked; that of the example where it was not
        served
    counted_until : float64 array (n,), seconds since 1970 UTC, the moment its counters held for, NaN where not logged
    surface : object array of str (n,), as the request named it
    logged : int64 array (k,), examples whose row was logged with the features of today
    features : float32 array (k, width), these rows
    """

    moment: NDArray[np.float64]
    counted_until: NDArray[np.float64]
    surface: NDArray[np.object_]
    logged: NDArray[np.int64]
    features: NDArray[np.float32]


def served_examples(examples: Examples, log: Interactions) -> ServedExamples:
    """Look up the served position of each example: the same request, user and content."""
    moment, surface = examples.moment.copy(), examples.surface.copy()
    counted_until = np.full(len(examples), np.nan)
    wanted = _by_position(examples, log)
    logged, rows = [], []
    for served in queries.served_of([UUID(request) for request in sorted({request for request, _, _ in wanted})]):
        for at in wanted.get((str(served.request_id), served.user_id, served.content_id), ()):
            moment[at], surface[at] = served.served_at.timestamp(), served.surface
            if served.counted_until is not None:
                counted_until[at] = served.counted_until.timestamp()
            if served.feature_set == FEATURE_SET:
                logged.append(at)
                rows.append(np.frombuffer(served.features, "<f4"))
    features = np.stack(rows).astype(np.float32) if rows else np.empty((0, _WIDTH), np.float32)
    return ServedExamples(moment, counted_until, surface, np.array(logged, np.int64), features)


def _by_position(examples: Examples, log: Interactions) -> dict[tuple[str, str, str], list[int]]:
    """Examples by request, user and content; those without a request are left out."""
    found: dict[tuple[str, str, str], list[int]] = {}
    asked = np.flatnonzero(examples.request != ABSENT)
    columns = (
        log.requests[examples.request[asked]], log.users[examples.user[asked]], log.contents[examples.content[asked]],
    )  # fmt: skip
    for at, *key in zip(asked.tolist(), *(column.tolist() for column in columns), strict=True):
        request, user, content = key
        found.setdefault((request, user, content), []).append(at)
    return found
