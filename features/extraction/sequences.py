"""Users' enjoyed contents in order of time, as the sequential item model learns them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from events.cleaning.schema import EVENT_TYPES
from events.columnar.interactions import ABSENT, Interactions
from features.embeddings.behaviour import MAX_TRANSITIONS
from features.extraction.engagement import PLEASED, is_long_view, kinds

ENJOYABLE: Final = tuple(name for name, may in zip(EVENT_TYPES, PLEASED | kinds("view"), strict=True) if may)
"""Event types that can say that a content was enjoyed."""


def enjoyed(
    log: Interactions, row: NDArray[np.int64], duration_s: NDArray[np.float32], *, before: float = np.inf
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sequences for `behaviour.fit`: users and rows; entries of a user stand together, oldest first.

    A long view, complete view, replay, like, comment, share or save is enjoyment. What is older than the newest
    `MAX_TRANSITIONS` enjoyments is left out.

    Parameters
    ----------
    row : int array, the row of each entry of `log.contents`; negative leaves the content out
    duration_s : float32 array, by row; NaN where unknown
    before : seconds since 1970 UTC; events stamped at or after it are not looked at
    """
    at = np.flatnonzero((log.content != ABSENT) & (log.user != ABSENT) & (log.timestamp < before))
    at = at[row[log.content[at]] >= 0] if len(at) else at
    rows = row[log.content[at]] if len(at) else np.empty(0, np.int64)
    long = is_long_view(log.event_type[at], log.watch_s[at], log.long_view[at], duration_s[rows])
    happy = np.flatnonzero(PLEASED[log.event_type[at]] | long)[-MAX_TRANSITIONS:]
    user, rows = log.user[at[happy]].astype(np.int64), rows[happy]
    order = np.argsort(user, kind="stable")
    return user[order], rows[order]
