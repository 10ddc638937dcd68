"""Bring the feature store up to a moment: count the open hours of the log, fold them, write a snapshot for serving.

    log, hours that are due --> counts per hour (ContentWindow) --> states per day (ContentFeatures) --+
    catalogue ---------------> content embeddings, index ----------------------------------------------+--> snapshot
    log, when it grew -------> sequential model -------------------------------------------------------+

Counts of an hour follow from its events and the lengths of their clips alone, and states from counts alone; so the
result depends on the database only: running twice gives the same bytes, and so do hour by hour, once at the end, and
again for any range. A late or erased event costs the counting of its hour and the folding of the contents it changed
there, from that day on; a clip whose length is told or corrected later costs that of its hours (`lengths`).

Every run of hours is one transaction, so a crash loses at most the run in work, and `events.windows` finds it open
again. One materialisation at a time: a second one waits, and then finds nothing to do.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from events import windows
from events.catalogue_reader import CatalogueReader
from events.queries import CountingLog, catalogue_table, counting_log, durations
from events.windows import Window
from features import folding, lengths, log_windows, snapshot_build, window_rows
from features.extraction.aggregates import WindowCounts
from features.extraction.counting import count_windows
from features.extraction.definitions import COUNTER_SET, WINDOW_S
from features.extraction.population import Population, count_population
from features.models import ContentFeatures, ContentWindow, PopulationWindow
from features.single_flight import single_flight

Progress = Callable[[str, int, int], None]
"""Called with the stage, how much of it is done, and how much there is."""

MAX_EVENTS_AT_ONCE: Final = 400_000
NEAR: Final = 3
"""Hours that lie closer together are read as one span."""
_catalogue: Final = CatalogueReader()


@dataclass(frozen=True, slots=True)
class MaterializeReport:
    """What a run did.

    Attributes
    ----------
    windows : hours counted; the running one counts
    events : events in them, of all kinds
    states : counter states written
    encoded : contents whose text was encoded
    version : the snapshot that serves now; None while the catalogue is empty
    written : whether this run wrote it, or found it as it should be
    fitted : what was learned anew, of "encoder" and "sequential"
    """

    windows: int
    events: int
    states: int
    encoded: int
    version: str | None
    written: bool
    fitted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """A span of the log, counted.

    Attributes
    ----------
    contents : object array of str, ascending
    counts : codes are into `contents`
    population : counts of the same hours
    events : of all kinds, by hour
    """

    contents: NDArray[np.object_]
    counts: WindowCounts
    population: Population
    events: Mapping[int, int]


@dataclass(slots=True)
class _Done:
    """What a run has done so far, and the hours whose rows it does not believe."""

    distrusted: Collection[int] = ()
    windows: int = 0
    events: int = 0
    states: int = 0
    carried: folding.Carried = field(default_factory=folding.Carried)


def materialize(*, until: datetime, refit: bool = False, progress: Progress | None = None) -> MaterializeReport:
    """Take in the log up to `until` and write a snapshot if anything changed.

    The store never goes back behind an hour that it has: with an earlier `until` it stays where it is.

    Parameters
    ----------
    until : aware; events stamped at or after it wait
    refit : learn encoder and sequential model anew, whatever their age
    """
    with single_flight():
        return _materialize(until, refit=refit, report=progress or _silent)


def _materialize(
    until: datetime, *, refit: bool, report: Progress, distrusted: Collection[int] = ()
) -> MaterializeReport:
    """As `materialize`, under its lock; what is stored of `distrusted` hours counts as wrong."""
    until = max(until, log_windows.newest_as_of() or until)
    source = snapshot_build.source(catalogue_table)
    catalogue = source.catalogue
    duration_of = dict(zip(catalogue.content_id.tolist(), catalogue.duration_s.tolist(), strict=True))
    done = _fill(until, duration_of, report, distrusted)
    report("snapshot", 0, 1)
    built = snapshot_build.build(source, until=until, refit=refit)
    report("snapshot", 1, 1)
    return MaterializeReport(
        windows=done.windows, events=done.events, states=done.states, encoded=built.encoded,
        version=built.version, written=built.written, fitted=built.fitted,
    )  # fmt: skip


def take_in(*, until: datetime) -> tuple[int, int]:
    """Count and fold the open hours without writing a snapshot; returns hours and events."""
    with single_flight():
        done = _fill(max(until, log_windows.newest_as_of() or until), durations(), _silent)
    return done.windows, done.events


def backfill(start: datetime, end: datetime, *, until: datetime, progress: Progress | None = None) -> MaterializeReport:
    """Do the hours that overlap `start` to `end` again from the log, whatever the store says of them.

    Without a change of the log the same bytes come out. What was learned or embedded stays. Killed anywhere it leaves
    states that are right, and hours that the next materialisation counts again.
    """
    # Nobody else may do those hours in between: only this call distrusts what is stored of them.
    with single_flight():
        return _materialize(until, refit=False, report=progress or _silent, distrusted=_forget(start, end))


def refresh_snapshot(*, until: datetime) -> bool:
    """Write a new snapshot if the catalogue changed since the last one: an upload need not wait for its first events.

    A large catalogue rests in between (`snapshot_build.is_due`). Returns whether it did; otherwise this is a query or
    two, and one small file. What outlived an erasure goes by the same tick.
    """
    snapshot_build.forget_erased()
    if not snapshot_build.is_due():
        return False
    with single_flight():
        return snapshot_build.build(snapshot_build.source(_catalogue.read), until=until, refit=False).written


def _forget(start: datetime, end: datetime) -> frozenset[int]:
    """Make hours due again, and return their numbers; not those of months that the log has dropped, whose counts nobody
    could make again.

    Their rows stay as they are: the states contain those counts, and a mark on a row that said otherwise would be
    believed by whoever reads the states before the hour is done.
    """
    hours = windows.known(start, end, family=log_windows.FAMILY)
    windows.reopen(start, end, family=log_windows.FAMILY)
    return frozenset(int(hour.timestamp() // WINDOW_S) for hour in hours)


def _fill(
    until: datetime, duration_of: Mapping[str, float], report: Progress, distrusted: Collection[int] = ()
) -> _Done:
    """Count and fold all open hours; those that are distrusted with all their contents, whatever has changed.

    While the server reads out one run, another thread counts the one before it; both leave Python's lock alone.
    """
    if ContentWindow.objects.exclude(counter_set=COUNTER_SET).exists():
        # Counts of another counter set compare with nothing.
        start_anew()
    ended = [log_windows.moment(hour.window) for hour in window_rows.due(until.timestamp())]
    windows.reopen_hours(ended, family=log_windows.FAMILY)
    lengths.reopen_changed(duration_of)
    opened = windows.open_windows(log_windows.FAMILY, until=until)
    done, total = _Done(distrusted=distrusted), sum(window.events for window in opened)
    waiting: tuple[list[Window], Future[Counted]] | None = None
    with ThreadPoolExecutor(1) as counter:
        for run in runs(opened, max_events=MAX_EVENTS_AT_ONCE):
            job = _ahead(run, until, duration_of, counter)
            if waiting is not None:
                _take_in(*waiting, until, duration_of, done)
                report("counters", done.events, total)
            waiting = run, job
        if waiting is not None:
            _take_in(*waiting, until, duration_of, done)
    report("counters", done.events, total)
    return done


def _ahead(
    run: list[Window], until: datetime, duration_of: Mapping[str, float], counter: ThreadPoolExecutor
) -> "Future[Counted]":
    """Read a run here and let the other thread count it; the result raises what either raised."""
    try:
        with transaction.atomic():
            log = counting_log(run[0].start, min(run[-1].end, until))
    except Exception as error:
        job: Future[Counted] = Future()
        job.set_exception(error)
        return job
    return counter.submit(count, log, duration_of)


@transaction.atomic
def start_anew() -> None:
    """Drop all counts and states, and make all hours of the log due."""
    for model in (ContentWindow, ContentFeatures, PopulationWindow):
        model.objects.all().delete()
    windows.reopen(datetime.fromtimestamp(0, UTC), datetime.max.replace(tzinfo=UTC), family=log_windows.FAMILY)


def count(log: CountingLog, duration_of: Mapping[str, float]) -> Counted:
    """Count a span of the log; needs no database."""
    events = log.parsed()
    order = sorted(range(len(events.contents)), key=events.contents.tolist().__getitem__)
    contents = events.contents[order]
    code = np.empty(len(order), np.int64)
    code[order] = np.arange(len(order))
    duration_s = np.array([duration_of.get(each, np.nan) for each in contents.tolist()], np.float32)
    hours, counted = np.unique((events.timestamp // WINDOW_S).astype(np.int64), return_counts=True)
    return Counted(
        contents,
        count_windows(events, content=code, duration_s=duration_s),
        count_population(events, content=code, duration_s=duration_s),
        dict(zip(hours.tolist(), counted.tolist(), strict=True)),
    )


def _take_in(
    run: list[Window], job: "Future[Counted]", until: datetime, duration_of: Mapping[str, float], done: _Done
) -> None:
    """Store the counts of a run of hours and fold them into the states, in one transaction.

    An hour that cannot be counted or folded holds up no other (`windows.work_off`).
    """
    ahead = [job]

    def work(mine: Sequence[Window]) -> None:
        if ahead:
            counted = ahead.pop().result()
        else:
            # The run failed as a whole: this is a part of it, and what it left in memory is not in the table.
            done.carried.forget()
            counted = count(counting_log(mine[0].start, min(mine[-1].end, until)), duration_of)
        numbers = [int(window.start.timestamp() // WINDOW_S) for window in mine]
        # As really read: an event that arrived since the hours were listed is there already.
        events = [counted.events.get(number, 0) for number in numbers]
        last = window_rows.newest_folded()
        before = window_rows.named(numbers)
        hours = window_rows.hours_of(
            counted.counts, counted.contents, windows=numbers, events=events, until=until.timestamp()
        )
        window_rows.put(hours)
        population = counted.population.rows(np.isin(counted.population.window, numbers))
        done.states += folding.refold(
            before, hours, population, last=last, carried=done.carried, distrusted=done.distrusted
        )
        done.windows += len(mine)
        done.events += sum(events)

    if len(windows.work_off(log_windows.FAMILY, run, work, now=until)) < len(run):
        done.carried.forget()


def runs(opened: list[Window], *, max_events: int) -> Iterator[list[Window]]:
    """Cut hours into runs that are read at once: near each other, whole UTC days if they fit, of bounded size.

    A run that ends within a day writes the states of that day twice.
    """
    run: list[Window] = []
    total = 0
    for day in _days(opened):
        size = sum(window.events for window in day)
        if run and (total + size > max_events or day[0].start - run[-1].end > NEAR * (day[0].end - day[0].start)):
            yield run
            run, total = [], 0
        if size > max_events:
            yield from windows.runs(day, max_events=max_events, max_windows=len(day))
        else:
            run, total = run + day, total + size
    if run:
        yield run


def _days(opened: list[Window]) -> Iterator[list[Window]]:
    """Hours of one UTC day that lie near each other."""
    part: list[Window] = []
    for window in opened:
        if part and (
            window.start.date() != part[-1].start.date()
            or window.start - part[-1].end > NEAR * (window.end - window.start)
        ):
            yield part
            part = []
        part.append(window)
    if part:
        yield part


def _silent(stage: str, done: int, total: int) -> None:
    """Report nothing."""
