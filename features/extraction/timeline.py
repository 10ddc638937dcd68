"""Counters and population as of any moment of the past: what training sees, and what serving saw.

Both see complete hours only, and say up to when: counters hold as of the end of the last complete hour in which
anything happened (`LogClock.boundary`). A snapshot is built from exactly that, whatever the minute it is written at, so
the same log gives training the same bits that served. Serving lags by the minute or so that a snapshot takes after an
hour has ended; what it went by is logged with every page (`Served.counted_until`), and `assemble_many` takes it. What
happens within the running hour reaches a page through the user's own events, which are never behind, through trends,
and through the popularity of a snapshot, which is no feature.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from events.columnar.interactions import Interactions
from features.extraction.aggregates import CounterStates, WindowCounts, fold
from features.extraction.counting import count_windows
from features.extraction.definitions import WINDOW_S
from features.extraction.log_clock import LogClock
from features.extraction.population import Population, Receptions, count_population, fold_population
from features.extraction.snapshot import ContentSnapshot


@dataclass(frozen=True, slots=True)
class Timeline:
    """The counts of a log, ready to be folded up to any moment.

    Attributes
    ----------
    counts : by content row
    population : states after each hour with events
    clock : the log's time
    held : rows that have any counts, ascending; the others have none at any moment
    """

    counts: WindowCounts
    population: Population
    clock: LogClock
    held: NDArray[np.int64]

    def at(self, until: NDArray[np.float64]) -> Iterator[tuple[NDArray[np.float32], Receptions]]:
        """Counters of the held contents (held, len(COUNTERS)) and the population, as of each moment.

        Parameters
        ----------
        until : seconds since 1970 UTC, ascending: ends of hours; events at or after each do not count
        """
        states, done = CounterStates.empty(len(self.held)), 0
        place = np.searchsorted(self.held, self.counts.content)
        counts = WindowCounts(self.counts.window, place, self.counts.counts)
        for moment in until.tolist():
            hour = int(moment // WINDOW_S)
            stop = int(np.searchsorted(counts.window, hour))
            states, _ = fold(counts.rows(np.arange(done, stop)), states, clock=self.clock)
            done = stop
            receptions = self.population.at(int(np.searchsorted(self.population.window, hour)) - 1)
            yield states.at(moment, self.clock), receptions


def timeline(log: Interactions, snapshot: ContentSnapshot) -> Timeline:
    """Count a log for the contents of a snapshot; events about other contents count for nothing."""
    rows = snapshot.rows(log.contents)
    counts = count_windows(log, content=rows, duration_s=snapshot.duration_s)
    population = count_population(log, content=rows, duration_s=snapshot.duration_s)
    # The hours of the population are all hours with any event.
    clock = LogClock.of(population.window)
    return Timeline(
        counts, fold_population(population, Population.empty(), clock=clock), clock, np.unique(counts.content)
    )
