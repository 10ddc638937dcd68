"""Sessions: cut each user's events where they paused.

A session ends after 30 minutes without an event, and never lasts longer than 24 hours (the convention of the large
web analytics products). It does not split at midnight; it belongs to the day on which it starts. A user has sessions
of its own on each device.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SESSION_GAP_S = 1800.0
SESSION_CAP_S = 86_400.0
_US_PER_S = 1_000_000


def sessionize(
    user: NDArray[np.int32],
    timestamp: NDArray[np.float64] | NDArray[np.datetime64],
    *,
    device: NDArray[np.int32] | None = None,
    gap_s: float = SESSION_GAP_S,
    cap_s: float = SESSION_CAP_S,
) -> NDArray[np.int64]:
    """Number the sessions of a log.

    Parameters
    ----------
    user : int32 array (n,), user codes, in any order
    timestamp : float64 array (n,), seconds since 1970, or datetime64[us] array (n,), exact to the microsecond
    device : int32 array (n,), device codes, -1 where none is named; without it every user has one device

    Returns
    -------
    int64 array (n,), the session of each event in the order given: `0..k-1`, ordered by (user, device, start). Two
    events of one user and device share a session when no gap longer than `gap_s` lies between them; a session reaching
    `cap_s` is cut there.

    Examples
    --------
    >>> sessionize(np.array([7, 7, 7, 3], np.int32), np.array([0.0, 1800.0, 3601.0, 5.0]))
    array([1, 1, 2, 0])
    >>> sessionize(np.zeros(3, np.int32), np.array([0.0, 1.0, 2.0]), device=np.array([0, 1, 0], np.int32))
    array([0, 1, 0])
    """
    time: NDArray[Any] = timestamp
    gap, cap = gap_s, cap_s
    if np.issubdtype(timestamp.dtype, np.datetime64):
        time = timestamp.astype("datetime64[us]").view(np.int64)
        gap, cap = round(gap_s * _US_PER_S), round(cap_s * _US_PER_S)
    actor = user if device is None else _composed(user, device)
    order, sorted_actor = _ordered(actor, time)
    sorted_time = time if order is None else time[order]
    starts = np.ones(len(actor), dtype=bool)
    np.greater(np.diff(sorted_time), gap, out=starts[1:])
    starts[1:] |= sorted_actor[1:] != sorted_actor[:-1]
    _cut_at_cap(starts, sorted_time, cap)
    numbers = np.cumsum(starts, dtype=np.int64)
    numbers -= 1
    if order is None:
        return numbers
    sessions = np.empty(len(actor), dtype=np.int64)
    sessions[order] = numbers
    return sessions


def _composed(user: NDArray[np.int32], device: NDArray[np.int32]) -> NDArray[np.int64]:
    """One number for user and device, ordered like the pair."""
    devices = int(device.max(initial=-1)) + 2
    return user.astype(np.int64) * devices + (device + 1)


def _ordered(actor: NDArray[Any], time: NDArray[Any]) -> tuple[NDArray[np.int64] | None, NDArray[Any]]:
    """The order by (actor, time), None where the events lie in it already, and the actors in that order.

    A log comes in order of time, and then one sort of plain integers does: the actor in the high bits, the place of the
    event in the low ones. Sorting values is several times faster than sorting places by their values.
    """
    if not len(actor):
        return None, actor
    rises = bool((time[1:] >= time[:-1]).all())
    steps = actor[1:] >= actor[:-1]
    if steps.all() and (rises or bool(((time[1:] >= time[:-1]) | (actor[1:] > actor[:-1])).all())):
        return None, actor
    by_time = None if rises else np.argsort(time)
    bits = max(len(actor) - 1, 1).bit_length()
    low, high = int(actor.min()), int(actor.max())
    if (high - low).bit_length() + bits > 62:
        order = np.lexsort((time, actor))
        return order, actor[order]
    key = (actor if by_time is None else actor[by_time]).astype(np.int64)
    key -= low
    key <<= bits
    key |= np.arange(len(actor))
    key.sort()
    order = key & ((1 << bits) - 1)
    key >>= bits
    key += low
    return (order if by_time is None else by_time[order]), key


def _cut_at_cap(starts: NDArray[np.bool_], time: NDArray[Any], cap: float) -> None:
    """Start a new session at the first event `cap` or more after a session's start, until none is too long.

    Few sessions are that long, so those few are walked one by one.
    """
    if not len(time):
        return
    first = np.flatnonzero(starts)
    last = np.append(first[1:], len(time)) - 1
    for begin, end in zip(*(bounds[time[last] - time[first] >= cap].tolist() for bounds in (first, last)), strict=True):
        at = begin
        while time[end] - time[at] >= cap:
            following = int(np.searchsorted(time[at : end + 1], time[at] + cap)) + at
            # The sum above is rounded; what decides is the difference.
            while time[following - 1] - time[at] >= cap:
                following -= 1
            while time[following] - time[at] < cap:
                following += 1
            starts[following] = True
            at = following


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
