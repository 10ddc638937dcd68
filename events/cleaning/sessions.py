"""Sessions: cut each user's events where they paused.

A session ends after 30 minutes without an event, and never lasts longer than 24 hours (the convention of the large
web analytics products). It does not split at midnight; it belongs to the day on which it starts.
"""

import numpy as np
from numpy.typing import NDArray

SESSION_GAP_S = 1800.0
SESSION_CAP_S = 86_400.0


def sessionize(
    user: NDArray[np.int32],
    timestamp: NDArray[np.float64],
    *,
    gap_s: float = SESSION_GAP_S,
    cap_s: float = SESSION_CAP_S,
) -> NDArray[np.int64]:
    """Number the sessions of a log.

    Parameters
    ----------
    user : int32 array (n,), user codes, in any order
    timestamp : float64 array (n,), seconds since 1970

    Returns
    -------
    int64 array (n,), the session of each event in the order given: `0..k-1`, ordered by (user, start). Two events of
    one user share a session when no gap longer than `gap_s` lies between them; a session reaching `cap_s` is cut there.

    Examples
    --------
    >>> sessionize(np.array([7, 7, 7, 3], np.int32), np.array([0.0, 1800.0, 3601.0, 5.0]))
    array([1, 1, 2, 0])
    """
    order = np.lexsort((timestamp, user))
    sorted_user, sorted_time = user[order], timestamp[order]
    starts = np.ones(len(user), dtype=bool)
    starts[1:] = (sorted_user[1:] != sorted_user[:-1]) | (np.diff(sorted_time) > gap_s)
    starts = _cut_at_cap(starts, sorted_time, cap_s)
    sessions = np.empty(len(user), dtype=np.int64)
    sessions[order] = np.cumsum(starts) - 1
    return sessions


def _cut_at_cap(starts: NDArray[np.bool_], time: NDArray[np.float64], cap_s: float) -> NDArray[np.bool_]:
    """Start a new session at the first event `cap_s` or more after a session's start, until none is too long."""
    starts = starts.copy()
    while len(time):
        first = np.maximum.accumulate(np.where(starts, np.arange(len(time)), 0))
        late = (time - time[first]) >= cap_s
        # Only the first late event of each session starts the next one; the rest are judged against it next round.
        cuts = late & ~np.concatenate(([False], late[:-1] & ~starts[1:]))
        if not cuts.any():
            break
        starts |= cuts
    return starts


def session_bounds(
    sessions: NDArray[np.int64], timestamp: NDArray[np.float64], watch_s: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Start and duration of each session, in seconds.

    A session lasts until the latest `event time + its watched seconds`; one with a single unwatched event lasts 0 s.
    Returns two float64 arrays (k,) where k is the number of sessions; empty input gives empty arrays.
    """
    count = int(sessions.max()) + 1 if len(sessions) else 0
    start = np.full(count, np.inf)
    end = np.full(count, -np.inf)
    np.minimum.at(start, sessions, timestamp)
    np.maximum.at(end, sessions, timestamp + np.nan_to_num(watch_s))
    return start, end - start
