"""Carry counter states forward after some hours were counted, touching only what those hours changed.

    new hours at the end of the log     the newest states of their contents, plus the hours
    an hour that was counted before     the contents whose counts differ: their states before that day, plus all their
                                        hours since

Both end in the same bytes, as a state follows from the counts before it by the same steps of float32.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features import log_windows, store, window_rows
from features.extraction.aggregates import CounterStates, fold
from features.extraction.definitions import COUNTERS
from features.extraction.log_clock import LogClock
from features.extraction.population import Population, fold_population
from features.window_rows import Hour

HOURS_AT_ONCE: Final = 7 * store.HOURS_PER_DAY
"""Hours of the past that are read together when they are folded again."""


@dataclass(slots=True)
class Carried:
    """The newest states of contents that this run has folded already, so that the next hours need no query.

    Attributes
    ----------
    place_of : row of each content
    as_of, state : as in `CounterStates`, with room to grow
    """

    place_of: dict[str, int] = field(default_factory=dict)
    as_of: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    state: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, len(COUNTERS)), np.float32))

    def get(self, ids: Sequence[str]) -> CounterStates:
        """The newest states, from the table where they are not known yet."""
        unknown = [each for each in ids if each not in self.place_of]
        if unknown:
            found = store.latest(unknown)
            self.place_of |= {each: len(self.as_of) + place for place, each in enumerate(unknown)}
            self.as_of = np.concatenate([self.as_of, found.as_of])
            self.state = np.concatenate([self.state, found.state])
        at = self._at(ids)
        return CounterStates(self.as_of[at], self.state[at])

    def put(self, ids: Sequence[str], states: CounterStates) -> None:
        """The states after more hours."""
        at = self._at(ids)
        self.as_of[at], self.state[at] = states.as_of, states.state

    def forget(self) -> None:
        """States were changed behind its back."""
        self.place_of.clear()
        self.as_of, self.state = self.as_of[:0], self.state[:0]

    def _at(self, ids: Sequence[str]) -> NDArray[np.int64]:
        return np.array([self.place_of[each] for each in ids], np.int64)


def refold(
    before: Mapping[int, Hour],
    hours: Sequence[Hour],
    population: Population,
    *,
    last: int | None,
    carried: Carried,
    distrusted: Collection[int] = (),
) -> int:
    """Bring the states in line with hours that were just stored; returns how many were written.

    Call it in the transaction that stored them.

    Parameters
    ----------
    before : what was stored of these hours until now
    hours : what is stored now, ascending; the running hour waits
    population : the counts of the population in these hours
    last : the last hour that the states knew
    distrusted : hours all of whose contents are folded again, whatever has changed
    """
    complete = [hour for hour in hours if hour.folded]
    if not complete:
        return 0
    clock = LogClock.of(log_windows.filled_hours())
    if last is None or complete[0].window > last:
        written = _append(complete, clock, carried)
    else:
        carried.forget()
        written = _again(before, complete, last, clock, distrusted)
    _refold_population(complete, population, clock)
    return written


def _append(hours: Sequence[Hour], clock: LogClock, carried: Carried) -> int:
    """Hours behind all others."""
    ids = sorted({each for hour in hours for each in hour.contents})
    counts = window_rows.counts_of(hours, {each: place for place, each in enumerate(ids)})
    after, steps = fold(counts, carried.get(ids), clock=clock)
    store.put_states(ids, content=counts.content, window=counts.window, states=steps)
    carried.put(ids, after)
    return len(counts)


def _again(
    before: Mapping[int, Hour], hours: Sequence[Hour], last: int, clock: LogClock, distrusted: Collection[int]
) -> int:
    """Hours in the middle: fold what they changed, from the day of the first of them to the end."""
    changed = sorted(_changed(before, hours, clock, distrusted))
    if not changed:
        return 0
    first = hours[0].window // store.HOURS_PER_DAY
    states = store.before_day(changed, first)
    place_of = {each: place for place, each in enumerate(changed)}
    store.forget_states(changed, since_day=first)
    written, stop = 0, max(last, hours[-1].window) + 1
    for start in range(first * store.HOURS_PER_DAY, stop, HOURS_AT_ONCE):
        known = [hour for hour in window_rows.between(start, min(start + HOURS_AT_ONCE, stop)) if hour.folded]
        counts = window_rows.counts_of(known, place_of)
        states, steps = fold(counts, states, clock=clock)
        store.put_states(changed, content=counts.content, window=counts.window, states=steps)
        written += len(counts)
    return written


def _changed(
    before: Mapping[int, Hour], hours: Sequence[Hour], clock: LogClock, distrusted: Collection[int]
) -> set[str]:
    """Contents whose counts differ in any of the hours; all contents if the log's time itself runs differently now."""
    known = log_windows.filled_hours()
    vanished = [hour.window for hour in hours if hour.events == 0 and hour.window in before]
    appeared = [hour.window for hour in hours if hour.events and not _was_folded(before.get(hour.window))]
    then = LogClock.of(np.union1d(np.setdiff1d(known, appeared), np.array(vanished, np.int64)))
    common = np.setdiff1d(known, appeared).astype(np.float64) * 3600.0
    shift = clock.at(common) - then.at(common)
    if len(shift) and (shift != shift[0]).any():
        return set(store.all_contents()) | {each for hour in hours for each in hour.contents}
    changed: set[str] = set()
    for hour in hours:
        old = before.get(hour.window)
        mine, theirs = hour.by_content(), {} if old is None else old.by_content()
        trusted = _was_folded(old) and hour.window not in distrusted
        changed |= {each for each in mine.keys() | theirs.keys() if not trusted or mine.get(each) != theirs.get(each)}
    return changed


def _was_folded(hour: Hour | None) -> bool:
    return hour is not None and hour.folded


def _refold_population(hours: Sequence[Hour], fresh: Population, clock: LogClock) -> None:
    """Replace the counts of these hours and fold all from the first of them on."""
    first = hours[0].window
    mine = [hour.window for hour in hours]
    kept = window_rows.population_counts(first)
    counts = Population.joined([
        kept.rows(~np.isin(kept.window, mine)), fresh.rows(np.isin(fresh.window, mine)),
    ])  # fmt: skip
    window_rows.put_population(
        counts, fold_population(counts, window_rows.population_before(first), clock=clock), since=first
    )
