"""Counters and population as of any moment of the past: what training sees, and what serving saw.

Both see complete hours only, and say up to when: counters hold as of the end of the last complete hour in which
anything happened (`LogClock.boundary`). A snapshot is built from exactly that, whatever the minute it is written at, so
the same log gives training the same bits that served. Serving lags by the minute or so that a snapshot takes after an
hour has ended; what it went by is logged with every page (`Served.counted_until`), and `assemble_many` takes it. What
happens within the running hour reaches a page through the user's own events, which are never behind, through trends,
and through the popularity of a snapshot, which is no feature.

Where the beginning of the log is gone, a timeline goes on from what the store kept of it (`Remembered`). What lies even
before that is refused: a moment whose past is not known would look like the first day of the system.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from events.columnar.interactions import Interactions
from features.extraction.aggregates import NEVER, CounterStates, WindowCounts, fold
from features.extraction.counting import count_windows
from features.extraction.definitions import WINDOW_S
from features.extraction.log_clock import LogClock
from features.extraction.population import Population, Receptions, count_population, fold_population
from features.extraction.snapshot import ContentSnapshot


class ForgottenError(LookupError):
    """Nobody knows any more what was known at this moment."""

    def __init__(self, moment: float, since: float) -> None:
        asked, first = (datetime.fromtimestamp(each, UTC).isoformat() for each in (moment, since))
        super().__init__(f"counters as of {asked} cannot be computed: what is kept of the log begins at {first}")
        self.moment, self.since = moment, since


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is kept of a time whose events are gone.

    Attributes
    ----------
    hours : int64 array, numbers of all hours with events before `end`, ascending
    since : seconds since 1970 UTC, the first moment that can be asked for: the one that `states` hold for
    states : of all contents, before the hours of `counts`
    counts : of the last hours before `end`, by content row
    population : states after the last hour before those of `counts`, and after each of those
    end : seconds since 1970 UTC; from here on the log has every event
    """

    hours: NDArray[np.int64]
    since: float
    states: CounterStates
    counts: WindowCounts
    population: Population
    end: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """The counts of a log, ready to be folded up to any moment.

    Attributes
    ----------
    counts : by content row
    population : states after each hour with events
    clock : the log's time
    held : content rows that have any counts or a state, ascending; the others have none at any moment
    base : states of those before the first of the counts
    since : seconds since 1970 UTC, the first moment that can be asked for
    """

    counts: WindowCounts
    population: Population
    clock: LogClock
    held: NDArray[np.int64]
    base: CounterStates
    since: float = 0.0

    def at(self, until: NDArray[np.float64]) -> Iterator[tuple[NDArray[np.float32], Receptions]]:
        """Counters of the held contents (held, len(COUNTERS)) and the population, as of each moment.

        Parameters
        ----------
        until : seconds since 1970 UTC, ascending: ends of hours; events at or after each do not count

        Raises
        ------
        ForgottenError : one lies before `since`
        """
        if len(until) and until[0] < self.since:
            raise ForgottenError(float(until[0]), self.since)
        states, done = self.base, 0
        place = np.searchsorted(self.held, self.counts.content)
        counts = WindowCounts(self.counts.window, place, self.counts.counts)
        for moment in until.tolist():
            hour = int(moment // WINDOW_S)
            stop = int(np.searchsorted(counts.window, hour))
            states, _ = fold(counts.rows(np.arange(done, stop)), states, clock=self.clock)
            done = stop
            receptions = self.population.at(int(np.searchsorted(self.population.window, hour)) - 1)
            yield states.at(moment, self.clock), receptions


def timeline(log: Interactions, snapshot: ContentSnapshot, before: Remembered | None = None) -> Timeline:
    """Count a log for the contents of a snapshot; of others only the watches count, as those of an unknown length.

    Parameters
    ----------
    before : what is kept of the time before `before.end`; the log counts from there on only
    """
    if before is not None:
        log = log.rows(slice(int(np.searchsorted(log.timestamp, before.end)), None))
    rows = snapshot.rows(log.contents)
    counts = count_windows(log, content=rows, duration_s=snapshot.duration_s)
    others, lengths = np.where(rows < 0, len(snapshot), rows), np.append(snapshot.duration_s, np.float32(np.nan))
    population = count_population(log, content=others, duration_s=lengths)
    # The hours of the population are all hours with any event.
    if before is None:
        clock, nobody = LogClock.of(population.window), CounterStates.empty(len(snapshot))
        return _timeline(counts, fold_population(population, Population.empty(), clock=clock), clock, nobody)
    clock, last = LogClock.of(np.append(before.hours, population.window)), before.population.rows(_last(before))
    states = Population.joined([before.population, fold_population(population, last, clock=clock)])
    return _timeline(WindowCounts.joined([before.counts, counts]), states, clock, before.states, before.since)


def _timeline(
    counts: WindowCounts, population: Population, clock: LogClock, states: CounterStates, since: float = 0.0
) -> Timeline:
    """Only the contents that anybody met: of a large catalogue these are few."""
    held = np.union1d(counts.content, np.flatnonzero(states.as_of != NEVER))
    return Timeline(counts, population, clock, held, CounterStates(states.as_of[held], states.state[held]), since)


def _last(before: Remembered) -> NDArray[np.int64]:
    """The last hour of the population that is kept, if any is."""
    return np.arange(len(before.population))[-1:]
