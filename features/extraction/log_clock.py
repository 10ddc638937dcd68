"""Time as the log knows it: it stands still while nobody does anything at all.

Counters fade so that contents can be told apart by what happened lately. A pause of the whole system tells contents
apart by nothing, yet plain time would let it erase them: the first event after a summer of silence, or the first live
event on top of an imported log of 2022, would leave every counter but its own at zero. So a silence of everyone counts
as at most one day; a silence of one content, while others live on, counts in full.

    events at hours 0 and 100, nothing between: hour 101 is 1 h + 24 h + 1 h after the first, not 101 h
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from features.extraction.definitions import DAY_S, WINDOW_S

SILENCE_LIMIT_S = DAY_S


@dataclass(frozen=True, slots=True)
class LogClock:
    """Maps moments to log time; both in seconds, and log time never runs faster.

    Attributes
    ----------
    start : float64 array (w,), starts of the hours with events, seconds since 1970 UTC, ascending
    lost : float64 array (w,), seconds of silence left out before each
    """

    start: NDArray[np.float64]
    lost: NDArray[np.float64]

    @classmethod
    def of(cls, windows: NDArray[np.int64]) -> Self:
        """A clock for a log with events in these hours (numbers since 1970 UTC, ascending, each once)."""
        start = windows.astype(np.float64) * WINDOW_S
        silence = np.diff(start) - WINDOW_S
        return cls(start, np.append(0.0, np.cumsum(np.maximum(silence - SILENCE_LIMIT_S, 0.0)))[: len(start)])

    def at(self, moments: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log time of moments (n,); it only depends on the hours that started at or before each.

        >>> clock = LogClock.of(np.array([0, 100]))
        >>> (clock.at(np.array([1.0, 101.0]) * 3600) / 3600).tolist()
        [1.0, 26.0]
        """
        if len(self.start) == 0:
            return moments
        last = np.searchsorted(self.start, moments, side="right") - 1
        known = np.maximum(last, 0)
        silence = moments - self.start[known] - WINDOW_S
        left_out = self.lost[known] + np.maximum(silence - SILENCE_LIMIT_S, 0.0)
        return np.where(last >= 0, moments - left_out, moments)

    def boundary(self, moments: NDArray[np.float64]) -> NDArray[np.float64]:
        """End of the last hour with events that was complete by each moment (n,); 0 before the first.

        >>> LogClock.of(np.array([0, 5])).boundary(np.array([3599.0, 3600.0, 6 * 3600.0 - 1, 1e9])).tolist()
        [0.0, 3600.0, 3600.0, 21600.0]
        """
        ends = np.append(0.0, self.start + WINDOW_S)
        return np.asarray(ends[np.searchsorted(ends[1:], moments, side="right")])
