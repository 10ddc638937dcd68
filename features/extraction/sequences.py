"""Users' enjoyed contents in order of time, as the sequential item model learns them."""

from typing import Any, Final

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
    known = np.append(duration_s, np.float32(np.nan))[np.where(row >= 0, row, len(duration_s))]
    at = enjoyments(log, known)
    at = at[log.timestamp[at] < before]
    return newest(log.user[at], row[log.content[at]])


def enjoyments(log: Interactions, duration_s: NDArray[np.float32]) -> NDArray[np.int64]:
    """Positions of the events that say that a content was enjoyed, whichever contents those are.

    Parameters
    ----------
    duration_s : float32 array, of each entry of `log.contents`; NaN where unknown
    """
    at = np.flatnonzero((log.content != ABSENT) & (log.user != ABSENT))
    lengths = duration_s[log.content[at]] if len(at) else np.empty(0, np.float32)
    long = is_long_view(log.event_type[at], log.watch_s[at], log.long_view[at], lengths)
    return at[PLEASED[log.event_type[at]] | long]


def newest(user: NDArray[Any], row: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The newest enjoyments in order of user and time, of those in order of time; negative rows are no content."""
    last = np.flatnonzero(row >= 0)[-MAX_TRANSITIONS:]
    user, row = user[last].astype(np.int64), row[last].astype(np.int64)
    order = np.argsort(user, kind="stable")
    return user[order], row[order]
