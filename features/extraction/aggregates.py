"""Decayed counters per content: how many people lately met, watched, skipped, liked it.

The log is cut into windows of one hour. Within a window a person counts once per content and signal, however often the
events repeat, so one restless finger (or bot) cannot make a hit. Between windows a counter fades with its half-life h,
in the time of `log_clock`:

    state(t) = state(t - dt) * 2 ** (-dt / h) + counts of the window that ends at t

A counter with a half-life of one day, one person at noon, two more people 24 hours later:

    day 1 13:00   1          day 2 13:00   1 * 2 ** -1 + 2 = 2.5

States are kept as float32 and rounded after every window, so folding a log at once or window by window gives the same
bits. Nothing here reads a store or a clock.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from events.columnar.interactions import ABSENT, Interactions
from features.extraction.definitions import COUNTER_HALF_LIFE_S, COUNTERS, HALF_LIVES_S, SIGNALS, WINDOW_S
from features.extraction.engagement import CODE, EXPOSING, REFUSING, SHARING, is_long_view
from features.extraction.log_clock import LogClock

WATCH_CAP_S = 600.0
"""A clip left playing through the night counts as ten minutes."""
NEVER = -np.inf


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
    factor = np.exp2(-elapsed.reshape(-1, 1) / COUNTER_HALF_LIFE_S)
    return (state * factor).astype(np.float32)


def count_windows(log: Interactions, *, content: NDArray[np.int64], duration_s: NDArray[np.float32]) -> WindowCounts:
    """Count people per window, content and signal.

    `exposures` are people with any impression, view, complete view, replay or skip, so a log without impressions has
    them too. `long_views` are as `engagement.is_long_view` says, `shares` also holds saves and comments, `refusals` are
    hides and reports, `watch_s` sums the seconds of views, each at most ten minutes. Unlikes and unsaves take nothing
    back: the pleasure was there.

    Parameters
    ----------
    content : int64 array, the caller's code for each entry of `log.contents`; negative leaves the content out
    duration_s : float32 array, by the same codes; NaN where unknown
    """
    has_content = log.content != ABSENT
    code = np.full(len(log), -1, np.int64)
    code[has_content] = content[log.content[has_content]]
    row = np.flatnonzero(code >= 0)
    kind, code = log.event_type[row], code[row]
    window = np.floor(log.timestamp[row] / WINDOW_S).astype(np.int64)
    watch_s, duration = log.watch_s[row], duration_s[code]
    hits = {
        "exposures": EXPOSING[kind],
        "long_views": is_long_view(kind, watch_s, log.long_view[row], duration),
        "completes": kind == CODE["complete_view"],
        "skips": kind == CODE["skip"],
        "likes": kind == CODE["like"],
        "shares": SHARING[kind],
        "refusals": REFUSING[kind],
    }
    viewed = (kind == CODE["view"]) & (watch_s > 0)
    # A cell is a (window, content); cells are numbered in that order.
    first, width = (int(window.min()), len(duration_s)) if len(row) else (0, 1)
    cells, cell = np.unique((window - first) * width + code, return_inverse=True)
    person = cell * (len(log.users) + 1) + (log.user[row] + 1)
    counts = np.zeros((len(cells), len(SIGNALS)), np.float32)
    for name, hit in hits.items():
        people = np.unique(person[hit]) // (len(log.users) + 1)
        counts[:, SIGNALS.index(name)] = np.bincount(people, minlength=len(cells))
    watched = np.minimum(watch_s[viewed].astype(np.float64), WATCH_CAP_S)
    counts[:, SIGNALS.index("watch_s")] = np.bincount(cell[viewed], weights=watched, minlength=len(cells))
    telling = counts.any(axis=1)
    return WindowCounts(cells[telling] // width + first, cells[telling] % width, counts[telling])


def fold(
    counts: WindowCounts, base: CounterStates, *, clock: LogClock, until: float
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
    bounds = np.flatnonzero(np.diff(counts.window, prepend=np.iinfo(np.int64).min))
    for start, stop in pairwise([*bounds.tolist(), len(counts)]):
        rows, end = counts.content[start:stop], step_as_of[start]
        faded = advance(state[rows], clock.at(step_as_of[start : start + 1]) - clock.at(as_of[rows]))
        steps[start:stop] = faded + np.tile(counts.counts[start:stop], (1, len(HALF_LIVES_S)))
        state[rows], as_of[rows] = steps[start:stop], end
    return CounterStates(as_of, state), CounterStates(step_as_of, steps)


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
