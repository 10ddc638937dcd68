"""Watched seconds, bounded by the clock on the wall: nobody watches for longer than the time there was for it.

Clients differ in whether they date a view by its beginning or by its end, and a like in the middle of a clip ends
nothing. So what counts is when the user was shown something before and after (impressions, views, skips), and of these
two pauses the longer one is what the watching may have filled.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from events.cleaning.schema import EVENT_TYPES

SLACK_S: Final = 2.0
SHOWINGS: Final = ("impression", "view", "skip")
_SHOWN: Final = np.array([name in SHOWINGS for name in EVENT_TYPES], np.bool_)


def is_showing(event_type: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which events tell that something was on the user's screen.

    >>> is_showing(np.array([EVENT_TYPES.index("view"), EVENT_TYPES.index("like")], np.uint8))
    array([ True, False])
    """
    shown: NDArray[np.bool_] = _SHOWN[event_type]
    return shown


def bounded_watch_s(
    group: NDArray[np.integer],
    timestamp: NDArray[np.float64],
    watch_s: NDArray[np.floating],
    *,
    showing: NDArray[np.bool_],
) -> NDArray[np.floating]:
    """Watched seconds, at most the longer of the pauses to the showings around, plus two seconds.

    Parameters
    ----------
    group : integer array (n,), the user or session of each event, in any order; what is around lies within it
    timestamp : float64 array (n,), seconds
    watch_s : float array (n,), what the client said, NaN where it said nothing
    showing : bool array (n,), see `is_showing`; other events are no neighbours and stay as they are

    Returns
    -------
    float array (n,) of the dtype of `watch_s`. The first and the last showing of a group have no bound on one side, and
    so none at all.

    Examples
    --------
    >>> user, shown = np.zeros(4, np.int32), np.ones(4, np.bool_)
    >>> bounded_watch_s(user, np.array([0.0, 5.0, 6.0, 7.0]), np.array([9.0, 5.0, 60.0, np.nan]), showing=shown)
    array([ 9.,  5.,  3., nan])
    """
    rows = np.flatnonzero(showing)
    rows = rows[np.lexsort((timestamp[rows], group[rows]))]
    pauses = np.full(len(rows) + 1, np.inf)
    if len(rows):
        same = group[rows[1:]] == group[rows[:-1]]
        pauses[1:-1] = np.where(same, np.diff(timestamp[rows]), np.inf)
    bounded = watch_s.copy()
    bounded[rows] = np.minimum(watch_s[rows], np.maximum(pauses[:-1], pauses[1:]) + SLACK_S)
    return bounded
