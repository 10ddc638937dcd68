"""Users' enjoyed contents in order of time, as the sequential item model learns them."""

import numpy as np
from numpy.typing import NDArray

from events.columnar.interactions import ABSENT, Interactions
from features.embeddings.behaviour import MAX_TRANSITIONS
from features.extraction.engagement import PLEASED, is_long_view
from features.extraction.snapshot import UNKNOWN, ContentSnapshot


def enjoyed(
    log: Interactions, snapshot: ContentSnapshot, *, before: float = np.inf
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sequences for `behaviour.fit`: users and rows; entries of a user stand together, oldest first.

    A long view, complete view, replay, like, comment, share or save is enjoyment. Contents that the snapshot lacks are
    left out, and so is what is older than the newest `MAX_TRANSITIONS` enjoyments.

    Parameters
    ----------
    before : seconds since 1970 UTC; events stamped at or after it are not looked at
    """
    at = np.flatnonzero((log.content != ABSENT) & (log.user != ABSENT) & (log.timestamp < before))
    row = snapshot.rows(log.contents.tolist())[log.content[at]] if len(at) else np.empty(0, np.int64)
    at, row = at[row != UNKNOWN], row[row != UNKNOWN]
    kind = log.event_type[at]
    happy = PLEASED[kind] | is_long_view(kind, log.watch_s[at], log.long_view[at], snapshot.duration_s[row])
    at, row = at[happy][-MAX_TRANSITIONS:], row[happy][-MAX_TRANSITIONS:]
    order = np.argsort(log.user[at], kind="stable")
    return log.user[at][order].astype(np.int64), row[order]
