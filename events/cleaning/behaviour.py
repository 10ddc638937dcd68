"""Which senders are programs, told from what they do: faster than fingers, or endlessly looking at nothing.

Honest programs name themselves (`agents`); this finds those that claim to be a browser. It judges one group of events
(one user's hour) by nothing but these events, so that the same log gives the same verdict in whatever order it came.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from events.cleaning.schema import EVENT_TYPES

# A person who swipes as fast as fingers go makes about three showings of three events a second, for a moment.
BURST_EVENTS: Final = 200
BURST_S: Final = 10.0
# Fifty clips in a row, none of them looked at for as long as a frame takes.
BLIND_RUN: Final = 50
BLIND_S: Final = 0.05

_DWELLS: Final = np.array([name in ("view", "skip") for name in EVENT_TYPES], np.bool_)


def automated(
    group: NDArray[np.integer],
    timestamp: NDArray[np.float64],
    event_type: NDArray[np.uint8],
    watch_s: NDArray[np.floating],
    *,
    groups: int,
) -> NDArray[np.bool_]:
    """Which groups behave like a program.

    Parameters
    ----------
    group : integer array (n,), `0..groups-1`, in any order
    timestamp : float64 array (n,), seconds
    event_type : uint8 array (n,), index into EVENT_TYPES
    watch_s : float array (n,), watched seconds, NaN where the event says nothing; such a view is neither looked at nor
        passed over, so it is left out

    Returns
    -------
    bool array (groups,): more than `BURST_EVENTS` events within `BURST_S` seconds, or `BLIND_RUN` views and skips in a
    row of less than `BLIND_S` seconds each. A group without events is no program.

    Examples
    --------
    >>> person, program = np.arange(0.0, 60.0, 2.0), np.arange(0.0, 10.0, 0.02)
    >>> times = np.concatenate([person, program])
    >>> owner = np.repeat([0, 1], [len(person), len(program)])
    >>> likes = np.full(len(times), EVENT_TYPES.index("like"), np.uint8)
    >>> automated(owner, times, likes, np.full(len(times), np.nan), groups=3)
    array([False,  True, False])
    """
    order = np.lexsort((timestamp, group))
    who, when = group[order], timestamp[order]
    verdict = np.zeros(groups, np.bool_)
    verdict[who[BURST_EVENTS:][_burst(who, when)]] = True
    dwells = order[_DWELLS[event_type[order]] & ~np.isnan(watch_s[order])]
    # Within one moment the order is unknown; the blind ones first, so that the verdict does not hang on it.
    dwells = dwells[np.lexsort((watch_s[dwells], timestamp[dwells], group[dwells]))]
    verdict[group[dwells[BLIND_RUN - 1 :]][_blind(group[dwells], watch_s[dwells] < BLIND_S)]] = True
    return verdict


def _burst(who: NDArray[np.integer], when: NDArray[np.float64]) -> NDArray[np.bool_]:
    """For each event from the BURST_EVENTS-th on, whether so many of the same group lie just before it."""
    near: NDArray[np.bool_] = when[BURST_EVENTS:] - when[:-BURST_EVENTS] <= BURST_S
    near &= who[BURST_EVENTS:] == who[:-BURST_EVENTS]
    return near


def _blind(who: NDArray[np.integer], blind: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """For each event from the BLIND_RUN-th on, whether it ends a run of so many blind ones of the same group."""
    seeing = np.concatenate([[0], np.cumsum(~blind)])
    all_blind: NDArray[np.bool_] = seeing[BLIND_RUN:] == seeing[:-BLIND_RUN]
    all_blind &= who[BLIND_RUN - 1 :] == who[: max(len(who) - BLIND_RUN + 1, 0)]
    return all_blind
