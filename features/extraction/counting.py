"""Count a log per window of one hour: people per content and signal, and what everybody does taken together.

Within a window a person counts once per content and signal, however often the events repeat, so one restless finger
(or bot) cannot make a hit. The counts of a window follow from the events of that window alone, in whatever order they
come, so any hour can be counted again by itself.

Distinct people are found by sorting one integer per event, `window | content | person | kind`, which is several times
as fast as a hash table or `np.unique` over columns.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from events.cleaning.schema import EVENT_TYPES
from events.columnar.interactions import Interactions
from features.extraction.aggregates import WindowCounts
from features.extraction.definitions import SIGNALS, WINDOW_S
from features.extraction.engagement import CODE, EXPOSING, is_long_view

WATCH_CAP_S: Final = 600.0
"""A clip left playing through the night counts as ten minutes."""
_MS_BITS: Final = 20
_POSITION_BITS: Final = 16
_KIND_BITS: Final = 5
_KEY_BITS: Final = 63
_LONG: Final = len(EVENT_TYPES)
"""Kind of a view that is long; the event types are the others."""
_OF_PEOPLE: Final = SIGNALS[: SIGNALS.index("watch_s")]
_KINDS_OF: Final = {
    "views": ("view", "complete_view", "replay"),
    "completes": ("complete_view",),
    "skips": ("skip",),
    "likes": ("like",),
    "shares": ("share",),
    "comments": ("comment",),
    "saves": ("save",),
    "follows": ("follow",),
    "hides": ("hide",),
    "reports": ("report",),
    "replays": ("replay",),
}


def _signal_bits() -> NDArray[np.int32]:
    """Per kind (the event types, and the long view) one bit for each signal of `_OF_PEOPLE` that it counts for."""
    bits = np.zeros(_LONG + 1, np.int32)
    for signal, kinds in _KINDS_OF.items():
        bits[[CODE[kind] for kind in kinds]] |= 1 << _OF_PEOPLE.index(signal)
    bits[:-1][EXPOSING] |= 1 << _OF_PEOPLE.index("exposures")
    bits[CODE["complete_view"]] |= 1 << _OF_PEOPLE.index("long_views")
    bits[_LONG] = bits[CODE["view"]] | 1 << _OF_PEOPLE.index("long_views")
    return bits


SIGNAL_BITS: Final = _signal_bits()


def signal_kind(
    event_type: NDArray[np.uint8],
    watch_s: NDArray[np.float32],
    long_view: NDArray[np.int8],
    duration_s: NDArray[np.float32],
) -> NDArray[np.uint8]:
    """Index into `SIGNAL_BITS` for each event; arguments as in `engagement.is_long_view`."""
    kind = event_type.copy()
    view = np.flatnonzero(event_type == CODE["view"])
    long = is_long_view(event_type[view], watch_s[view], long_view[view], duration_s[view])
    kind[view[long]] = _LONG
    return kind


def count_windows(log: Interactions, *, content: NDArray[np.int64], duration_s: NDArray[np.float32]) -> WindowCounts:
    """Count people per window, content and signal.

    `exposures` are people with any impression, view, complete view, replay or skip, so a log without impressions has
    them too; `views` those who saw it play. `long_views` are as `engagement.is_long_view` says. `watch_s` sums the
    seconds of views, each at most ten minutes and to the millisecond; `positions` and `placed` count the impressions
    that say where in the feed they stood. Unlikes and unsaves take nothing back: the pleasure was there.

    Parameters
    ----------
    content : int64 array, the caller's code for each entry of `log.contents`; negative leaves the content out
    duration_s : float32 array, by the same codes; NaN where unknown
    """
    code = np.append(content, -1)[log.content]
    row = np.flatnonzero(code >= 0)
    if len(row) == 0:
        return WindowCounts.joined([])
    code, window = code[row], (log.timestamp[row] // WINDOW_S).astype(np.int64)
    first, width = int(window.min()), int(code.max()) + 1
    cell = (window - first) * width + code
    person_bits = int(len(log.users) + 1).bit_length()
    cell_bits = max(int(cell.max()), 1).bit_length()
    if cell_bits + max(person_bits + _KIND_BITS, _MS_BITS) > _KEY_BITS:
        return _halves(log, row, window, content=content, duration_s=duration_s)
    kind = signal_kind(log.event_type[row], log.watch_s[row], log.long_view[row], duration_s[code])
    cells, counts = _people(cell, log.user[row], kind, person_bits)
    view = np.flatnonzero((log.event_type[row] == CODE["view"]) & (log.watch_s[row] > 0))
    watch_ms = np.rint(np.minimum(log.watch_s[row[view]], WATCH_CAP_S) * 1e3).astype(np.int64)
    _add_sums(cells, counts[:, SIGNALS.index("watch_s")], cell[view], watch_ms, _MS_BITS, scale=1e-3)
    placed = np.flatnonzero((log.event_type[row] == CODE["impression"]) & (log.position[row] >= 0))
    position = log.position[row[placed]].astype(np.int64)
    _add_sums(cells, counts[:, SIGNALS.index("positions")], cell[placed], position, _POSITION_BITS, scale=1.0)
    _add_sums(cells, counts[:, SIGNALS.index("placed")], cell[placed], np.ones(len(placed), np.int64), 1, scale=1.0)
    telling = counts.any(axis=1)
    cells = cells[telling]
    return WindowCounts(cells // width + first, cells % width, counts[telling])


def _halves(
    log: Interactions,
    row: NDArray[np.int64],
    window: NDArray[np.int64],
    *,
    content: NDArray[np.int64],
    duration_s: NDArray[np.float32],
) -> WindowCounts:
    """A log with too many windows, contents and people for one integer each, in two parts by time."""
    middle = (int(window.min()) + int(window.max()) + 1) // 2
    if middle == window.min():
        raise ValueError(f"one hour with {len(log.users)} users and {len(log.contents)} contents cannot be counted")
    parts = [log.rows(row[window < middle]), log.rows(row[window >= middle])]
    return WindowCounts.joined([count_windows(part, content=content, duration_s=duration_s) for part in parts])


def _people(
    cell: NDArray[np.int64], user: NDArray[np.int32], kind: NDArray[np.uint8], person_bits: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Cells with any event, ascending, and how many people each signal has there."""
    key = np.sort((((cell << person_bits) | (user + 1)) << _KIND_BITS) | kind)
    key = key[_starts(key)]
    who = key >> _KIND_BITS
    start = np.flatnonzero(_starts(who))
    bits = np.bitwise_or.reduceat(SIGNAL_BITS[key & ((1 << _KIND_BITS) - 1)], start)
    place = who[start] >> person_bits
    first = np.flatnonzero(_starts(place))
    counts = np.zeros((len(first), len(SIGNALS)), np.float32)
    for column in range(len(_OF_PEOPLE)):
        counts[:, column] = np.add.reduceat((bits >> column) & 1, first)
    return place[first], counts


def _add_sums(
    cells: NDArray[np.int64],
    column: NDArray[np.float32],
    cell: NDArray[np.int64],
    value: NDArray[np.int64],
    bits: int,
    *,
    scale: float,
) -> None:
    """Add to the column, per cell, the sum of whole numbers below `2 ** bits`: exact in any order."""
    if len(cell) == 0:
        return
    key = np.sort((cell << bits) | value)
    place = key >> bits
    first = np.flatnonzero(_starts(place))
    total = np.add.reduceat(key & ((1 << bits) - 1), first)
    column[np.searchsorted(cells, place[first])] = total * scale


def _starts(ascending: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where a value differs from the one before it."""
    return np.append(True, ascending[1:] != ascending[:-1])


def happened(log: Interactions) -> NDArray[np.int64]:
    """Numbers of the hours with any event, ascending."""
    hour = (log.timestamp // WINDOW_S).astype(np.int64)
    if len(hour) and (np.diff(hour) < 0).any():
        hour = np.sort(hour)
    return hour[_starts(hour)] if len(hour) else hour
