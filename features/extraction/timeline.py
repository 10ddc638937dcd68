"""Counter states of contents at any moment of the past: what training sees instead of today's snapshot.

A moment sees the windows that were complete by then, never the running one, so no event at or after the moment can
reach a feature. Serving is a little ahead of that: its snapshot includes the running window up to a minute ago.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from events.columnar.interactions import Interactions
from features.extraction.aggregates import CounterStates, WindowCounts, advance, count_windows, fold
from features.extraction.definitions import COUNTERS, SIGNALS, WINDOW_S
from features.extraction.log_clock import LogClock
from features.extraction.snapshot import ContentSnapshot

_WINDOW_BITS = 24
"""Enough for the hours since 1970 for another 1,800 years."""


@dataclass(frozen=True, slots=True)
class CounterTimeline:
    """States after every window with events, by content row, and of all contents together.

    Attributes
    ----------
    key : int64 array (c,), `row << 24 | hour in which the state holds first`, ascending
    state : float32 array (c, len(COUNTERS))
    total_hour : int64 array (w,), hours in which the totals hold first, ascending
    total : float32 array (w, len(COUNTERS))
    clock : the log's time
    """

    key: NDArray[np.int64]
    state: NDArray[np.float32]
    total_hour: NDArray[np.int64]
    total: NDArray[np.float32]
    clock: LogClock

    def at(self, rows: NDArray[np.int64], moments: NDArray[np.float64]) -> NDArray[np.float32]:
        """State of each row as of the last full hour before or at its moment, float32 (n, len(COUNTERS))."""
        hour = np.floor(moments / WINDOW_S).astype(np.int64)
        found = np.searchsorted(self.key, (rows << _WINDOW_BITS) | hour, side="right") - 1
        known = (found >= 0) & (self.key[found] >> _WINDOW_BITS == rows) if len(self.key) else found >= 0
        return self._since(self.state, self.key & ((1 << _WINDOW_BITS) - 1), np.where(known, found, -1), hour)

    def totals(self, moments: NDArray[np.float64]) -> NDArray[np.float32]:
        """The sum over all contents as of the last full hour, float32 (n, len(COUNTERS))."""
        hour = np.floor(moments / WINDOW_S).astype(np.int64)
        return self._since(self.total, self.total_hour, np.searchsorted(self.total_hour, hour, side="right") - 1, hour)

    def _since(
        self,
        state: NDArray[np.float32],
        held_from: NDArray[np.int64],
        found: NDArray[np.int64],
        hour: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """The found states, faded up to the hour; zeros where nothing was found (-1)."""
        result = np.zeros((len(found), len(COUNTERS)), np.float32)
        known = found >= 0
        if known.any():
            at = found[known]
            result[known] = advance(state[at], self._log_time(hour[known]) - self._log_time(held_from[at]))
        return result

    def _log_time(self, hour: NDArray[np.int64]) -> NDArray[np.float64]:
        return self.clock.at((hour * WINDOW_S).astype(np.float64))


def timeline(log: Interactions, snapshot: ContentSnapshot) -> CounterTimeline:
    """Fold a log into the states of the snapshot's contents; events about other contents count for nothing."""
    rows = snapshot.rows(log.contents)
    counts = count_windows(log, content=rows, duration_s=snapshot.duration_s)
    # Every window is taken as complete: the running one is out of reach of moments before its end anyway.
    happened = np.unique(np.floor(log.timestamp / WINDOW_S).astype(np.int64))
    clock = LogClock.of(happened)
    _, steps = fold(counts, CounterStates.empty(len(snapshot)), clock=clock, until=np.inf)
    order = np.lexsort((counts.window, counts.content))
    windows, window = np.unique(counts.window, return_inverse=True)
    summed = np.zeros((len(windows), len(SIGNALS)), np.float32)
    for signal in range(len(SIGNALS)):
        summed[:, signal] = np.bincount(window, weights=counts.counts[:, signal], minlength=len(windows))
    _, totals = fold(
        WindowCounts(windows, np.zeros(len(windows), np.int64), summed),
        CounterStates.empty(1),
        clock=clock,
        until=np.inf,
    )
    return CounterTimeline(
        key=(counts.content[order] << _WINDOW_BITS) | (counts.window[order] + 1),
        state=steps.state[order],
        total_hour=windows + 1,
        total=totals.state,
        clock=clock,
    )
