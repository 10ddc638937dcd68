"""What an event says about the content it is about.

The scale is one watched clip: watching is the common currency, deliberate gestures weigh a little more, refusals weigh
more than any praise, because showing a refused topic again is the worse mistake. An impression alone says nothing.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from events.cleaning.schema import EVENT_TYPES

LONG_VIEW_S: Final = 18.0
"""A watch is long from here, or from the whole clip where that is shorter (KuaiRand's definition of a long view)."""
SHORT_VIEW_S: Final = 2.0
WORTH_LIMIT: Final = 3.0
"""One content never counts for more than this, however often the user came back to it."""

CODE: Final[Mapping[str, int]] = {name: code for code, name in enumerate(EVENT_TYPES)}
EVENT_WORTH: Final[Mapping[str, float]] = {
    "complete_view": 1.0,
    "replay": 1.0,
    "like": 1.0,
    "comment": 1.0,
    "share": 1.5,
    "save": 1.5,
    "follow": 1.5,
    "unlike": -0.5,
    "unsave": -0.5,
    "skip": -1.0,
    "unfollow": -1.5,
    "hide": -3.0,
    "report": -3.0,
    # What it takes back, so that both together say nothing.
    "unhide": 3.0,
}
_WORTH: Final = np.array([EVENT_WORTH.get(name, 0.0) for name in EVENT_TYPES])


def kinds(*names: str) -> NDArray[np.bool_]:
    """A lookup table over event types: True for the named ones.

    >>> kinds("impression")[:2].tolist()
    [True, False]
    """
    table = np.zeros(len(EVENT_TYPES), np.bool_)
    table[[CODE[name] for name in names]] = True
    return table


EXPOSING: Final = kinds("impression", "view", "complete_view", "replay", "skip")
JUDGING: Final = ~kinds("impression", "content_upload")
PLEASED: Final = kinds("complete_view", "replay", "like", "comment", "share", "save")
SHARING: Final = kinds("share", "save", "comment")
REFUSING: Final = kinds("hide", "report")


def still_refused(
    event_type: NDArray[np.uint8], about: NDArray[np.int64] | NDArray[np.int32] | NDArray[np.object_]
) -> NDArray[np.bool_]:
    """Which events are refusals that still hold: reports, and hides that no later `unhide` took back.

    Parameters
    ----------
    event_type : shape (n,), the events about one thing oldest first
    about : shape (n,), what each event is about, in anything that can be sorted

    >>> events = np.array([CODE["hide"], CODE["hide"], CODE["unhide"], CODE["report"]], np.uint8)
    >>> still_refused(events, np.array([7, 8, 7, 7])).tolist()
    [False, True, False, True]
    """
    holds: NDArray[np.bool_] = REFUSING[event_type]
    back = np.flatnonzero(event_type == CODE["unhide"])[::-1]
    if len(back) == 0:
        return holds
    things, newest = np.unique(about[back], return_index=True)
    place = np.minimum(np.searchsorted(things, about), len(things) - 1)
    undone = (things[place] == about) & (np.arange(len(event_type)) < back[newest][place])
    still: NDArray[np.bool_] = holds & ~(undone & (event_type == CODE["hide"]))
    return still


def is_long_view(
    event_type: NDArray[np.uint8],
    watch_s: NDArray[np.float32],
    long_view: NDArray[np.int8],
    duration_s: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """Which events are long views: `complete_view`, or a `view` that states it or lasts `min(18 s, duration)`.

    What an imported log states counts before what the seconds say. An unknown duration (NaN) counts as 18 s or more,
    an unknown watch as none.

    >>> view = np.full(3, CODE["view"], np.uint8)
    >>> watch, duration = np.array([9.0, 9.0, 20.0], np.float32), np.array([8.0, 30.0, np.nan], np.float32)
    >>> is_long_view(view, watch, np.full(3, -1, np.int8), duration).tolist()
    [True, False, True]
    """
    enough = watch_s >= np.fmin(duration_s, np.float32(LONG_VIEW_S))
    watched = np.where(long_view >= 0, long_view == 1, enough)
    long: NDArray[np.bool_] = ((event_type == CODE["view"]) & watched) | (event_type == CODE["complete_view"])
    return long


def worth(
    event_type: NDArray[np.uint8],
    watch_s: NDArray[np.float32],
    long_view: NDArray[np.int8],
    duration_s: NDArray[np.float32],
) -> NDArray[np.float64]:
    """What each event says about its content, in watched clips; all arrays have the same length n.

    A `view` is worth `watch_s / min(18 s, duration)`, at most 1, and -0.5 when left within 2 s (or the whole clip,
    where that is shorter); an imported log's `long_view` gives 1 or 0. Without seconds a view says nothing.

    >>> worth(np.array([CODE["skip"]], np.uint8), np.ones(1, np.float32), np.array([-1], np.int8), np.ones(1)).tolist()
    [-1.0]
    """
    value = _WORTH[event_type]
    view = np.flatnonzero(event_type == CODE["view"])
    if len(view) == 0:
        return value
    goal = np.maximum(np.fmin(duration_s[view], LONG_VIEW_S), 1.0)
    watched, stated = watch_s[view], long_view[view]
    graded = np.where(watched < np.minimum(SHORT_VIEW_S, goal), -0.5, np.minimum(watched / goal, 1.0))
    value[view] = np.nan_to_num(np.where(stated >= 0, stated == 1, graded), nan=0.0)
    return value
