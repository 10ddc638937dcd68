"""Decayed counters per content: how many people lately met, watched, skipped, liked it.

The log is cut into windows of one hour (`counting` counts them). Between windows a counter fades with its half-life h,
in the time of `log_clock`:

    state(t) = state(t - dt) * 2 ** (-dt / h) + counts of the window that ends at t

A counter with a half-life of one day, one person at noon, two more people 24 hours later:

    day 1 13:00   1          day 2 13:00   1 * 2 ** -1 + 2 = 2.5

States are kept as float32 and rounded after every window with counts, so folding a log at once, window by window, or
again from any state on the way gives the same bits. Nothing here reads a store or a clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.extraction.definitions import COUNTERS, HALF_LIVES_S, SIGNALS, WINDOW_S
from features.extraction.log_clock import LogClock

NEVER = -np.inf
_HALF_LIVES: Final[NDArray[np.float64]] = np.array(list(HALF_LIVES_S.values()))


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """What happened per window and content, for pairs with any event; ordered by (window, content).

    Attributes
    ----------
    window : int64 array (c,), number of the hour since 1970 UTC
    content : int64 array (c,), codes given by the caller
    counts : float32 array (c, len(SIGNALS))
    """

    window: NDArray[np.int64]
    content: NDArray[np.int64]
    counts: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.window)

    @classmethod
    def joined(cls, parts: "Sequence[WindowCounts]") -> "WindowCounts":
        """Parts one behind the other; each must come after the one before it."""
        return cls(
            np.concatenate([np.empty(0, np.int64), *(part.window for part in parts)]),
            np.concatenate([np.empty(0, np.int64), *(part.content for part in parts)]),
            np.concatenate([np.empty((0, len(SIGNALS)), np.float32), *(part.counts for part in parts)]),
        )

    def sorted(self) -> "WindowCounts":
        """The same pairs in order of (window, content)."""
        return self.rows(np.lexsort((self.content, self.window)))

    def rows(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> "WindowCounts":
        """The chosen pairs, in the order of the index."""
        return WindowCounts(self.window[index], self.content[index], self.counts[index])


@dataclass(frozen=True, slots=True)
class CounterStates:
    """Counter states of n contents, each as of its own moment.

    Attributes
    ----------
    as_of : float64 array (n,), seconds since 1970 UTC, `NEVER` for a content without events
    state : float32 array (n, len(COUNTERS))
    """

    as_of: NDArray[np.float64]
    state: NDArray[np.float32]

    @classmethod
    def empty(cls, n: int) -> "CounterStates":
        """n contents nobody has met."""
        return cls(np.full(n, NEVER), np.zeros((n, len(COUNTERS)), np.float32))

    def at(self, moment: float, clock: LogClock) -> NDArray[np.float32]:
        """All states as of one moment, float32 (n, len(COUNTERS)); none may be younger than that."""
        return advance(self.state, clock.at(np.array([moment])) - clock.at(self.as_of))


def advance(state: NDArray[np.float32], dt_s: NDArray[np.float64] | float) -> NDArray[np.float32]:
    """Let `dt_s` seconds pass without events.

    Parameters
    ----------
    state : float32 array (n, len(COUNTERS))
    dt_s : seconds >= 0, one number or one per row; `inf` leaves nothing

    >>> day = advance(np.ones((1, len(COUNTERS)), np.float32), 86_400.0)
    >>> day[0, [len(SIGNALS), 2 * len(SIGNALS)]].astype(float).round(3).tolist()
    [0.5, 0.906]
    """
    elapsed = np.asarray(dt_s, np.float64)
    if elapsed.size and elapsed.min() < 0.0:
        raise ValueError(f"time does not run backwards: dt_s is {elapsed.min()}")
    # The factor is rounded before it multiplies: float32 throughout is twice as fast and as repeatable.
    factor = np.exp2(-elapsed.reshape(-1, 1) / _HALF_LIVES).astype(np.float32)
    parts = state.reshape(len(state), len(HALF_LIVES_S), len(SIGNALS)) * factor[:, :, None]
    return np.asarray(parts.reshape(len(state), len(COUNTERS)))


def fold(
    counts: WindowCounts, base: CounterStates, *, clock: LogClock, until: float = np.inf
) -> tuple[CounterStates, CounterStates]:
    """Carry counter states forward through the windows.

    Parameters
    ----------
    counts : windows that start before `until`
    base : states before the first of them, by content code
    clock : of a log that has these windows and those that `base` comes from
    until : seconds since 1970 UTC; a window that is still running then ends there for now

    Returns
    -------
    after : the state of every content after its last window
    steps : the state after each row of `counts`, same order
    """
    as_of, state = base.as_of.copy(), base.state.copy()
    step_as_of = np.minimum((counts.window + 1) * WINDOW_S, until)
    steps = np.empty((len(counts), len(COUNTERS)), np.float32)
    by_label = (-1, len(HALF_LIVES_S), len(SIGNALS))
    bounds = np.flatnonzero(np.diff(counts.window, prepend=np.iinfo(np.int64).min))
    for start, stop in pairwise([*bounds.tolist(), len(counts)]):
        rows, end = counts.content[start:stop], step_as_of[start]
        faded = advance(state[rows], clock.at(step_as_of[start : start + 1]) - clock.at(as_of[rows]))
        faded.reshape(by_label)[...] += counts.counts[start:stop, None, :]
        steps[start:stop] = state[rows] = faded
        as_of[rows] = end
    return CounterStates(as_of, state), CounterStates(step_as_of, steps)


def summed(counters: NDArray[np.float32], group: NDArray[np.int32], n: int) -> NDArray[np.float32]:
    """Counters of groups of contents, float32 (n, len(COUNTERS)): counters are linear, so theirs are the sums.

    Parameters
    ----------
    counters : float32 array (m, len(COUNTERS)), as of one moment
    group : int array (m,), the group of each content, negative for none
    n : number of groups

    >>> sums = summed(np.ones((3, len(COUNTERS)), np.float32), np.array([1, -1, 1]), 2)
    >>> sums[:, 0].tolist()
    [0.0, 2.0]
    """
    member = np.flatnonzero(group >= 0)
    member = member[np.argsort(group[member], kind="stable")]
    sums = np.zeros((n, counters.shape[1]), np.float64)
    if len(member):
        owner = group[member]
        first = np.flatnonzero(np.diff(owner, prepend=-1))
        sums[owner[first]] = np.add.reduceat(counters[member].astype(np.float64), first, axis=0)
    return sums.astype(np.float32)


def smoothed_rate(
    events: NDArray[np.float64] | float,
    people: NDArray[np.float64] | float,
    *,
    prior: NDArray[np.float64] | float,
    strength: float,
) -> NDArray[np.float64]:
    """`(events + strength * prior) / (people + strength)`: the rate, pulled to the prior where few people were asked.

    >>> smoothed_rate(np.array([0.0, 50.0]), np.array([0.0, 80.0]), prior=0.3, strength=20.0).tolist()
    [0.3, 0.56]
    """
    return np.asarray((events + strength * prior) / (people + strength))
