"""What the feature store kept of months that the log has dropped, for whoever computes features as of then.

Counts and states stay when the events of a month go. So counters of a moment after that are folded from the state at
the end of the month, as they were when they served, and not from nothing, as if the system had begun on that day.
"""

from datetime import datetime
from typing import Final

from events.retention import log_begins
from features import log_windows, store, window_rows
from features.extraction import ContentSnapshot, Remembered
from features.extraction.aggregates import CounterStates
from features.extraction.definitions import DAY_S, WINDOW_S
from features.extraction.log_clock import LogClock
from features.extraction.population import Population, fold_population

DAYS: Final = 7
"""What served at the end of a month may have lagged behind by so much, or nothing may have happened for so long."""


def remembered(snapshot: ContentSnapshot) -> Remembered | None:
    """The past of a snapshot's contents before the log begins; None where it has all of it."""
    end = log_begins()
    return None if end is None else _before(snapshot, end)


def _before(snapshot: ContentSnapshot, end: datetime) -> Remembered:
    day, stop = int(end.timestamp() // DAY_S) - DAYS, int(end.timestamp() // WINDOW_S)
    first = day * store.HOURS_PER_DAY
    hours = log_windows.filled_hours()
    hours = hours[hours < stop]
    earlier = hours[hours < first]
    ids = snapshot.content_id.tolist()
    kept = [hour for hour in window_rows.between(first, stop) if hour.folded]
    clock, nobody = LogClock.of(hours), window_rows.population_before(first)
    population = fold_population(window_rows.population_counts(first, stop), nobody, clock=clock)
    return Remembered(
        hours=hours,
        since=float((earlier[-1] + 1) * WINDOW_S) if len(earlier) else 0.0,
        states=store.before_day(ids, day) if len(earlier) else CounterStates.empty(len(ids)),
        counts=window_rows.counts_of(kept, {each: row for row, each in enumerate(ids)}),
        population=Population.joined([nobody, population]),
        end=end.timestamp(),
    )
