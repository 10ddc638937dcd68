"""Bring the feature store up to a moment: fold the open hours of the log, then write a snapshot for serving.

    log, hours that differ --> counter states (ContentFeatures) --> newest per content --+
    catalogue ---------------> text encoder, embeddings, index --------------------------+--> snapshot
    log, when it grew -------> sequential model -----------------------------------------+

The result depends on the database alone: running twice gives the same bytes, and running hour by hour the same as once
at the end (as long as no duration in the catalogue changed in between). Every chunk of hours is one transaction, so a
crash loses at most the chunk in work, and the next run finds it open again. One run at a time: a second one waits.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from events.columnar.interactions import ContentTable
from events.queries import catalogue_table, interactions_between
from features import log_windows, snapshot_build, store
from features.extraction.aggregates import count_windows, fold
from features.extraction.definitions import COUNTER_SET, WINDOW_S
from features.extraction.log_clock import LogClock
from features.log_windows import OpenWindows
from features.models import ContentFeatures, FillState

Progress = Callable[[str, int, int], None]
"""Called with the stage, how much of it is done, and how much there is."""

MAX_EVENTS_AT_ONCE: Final = 500_000
_LOCK: Final = 0x7EC5_0002
"""Key of the advisory lock; arbitrary, but nothing else in this database may use it."""


@dataclass(frozen=True, slots=True)
class MaterializeReport:
    """What a run did.

    Attributes
    ----------
    windows : hours folded; the running one counts
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


def materialize(*, until: datetime, refit: bool = False, progress: Progress | None = None) -> MaterializeReport:
    """Take in the log up to `until` and write a snapshot if anything changed.

    The store never goes back: with an `until` before that of an earlier run, it stays where it is.

    Parameters
    ----------
    until : aware; events stamped at or after it wait
    refit : learn encoder and sequential model anew, whatever their age
    """
    report = progress or _silent
    with _single_flight():
        until = max(until, log_windows.newest_as_of() or until)
        catalogue = catalogue_table()
        windows, states = _fill(until, catalogue, report)
        report("snapshot", 0, 1)
        built = snapshot_build.build(catalogue, until=until, refit=refit)
        report("snapshot", 1, 1)
    return MaterializeReport(
        windows=len(windows), events=int(windows.events.sum()), states=states, encoded=built.encoded,
        version=built.version, written=built.written, fitted=built.fitted,
    )  # fmt: skip


def refresh_snapshot(*, until: datetime) -> bool:
    """Write a new snapshot if the catalogue changed since the last one: an upload need not wait for its first events.

    Returns whether it did. Otherwise this is one query and one small file.
    """
    if not snapshot_build.catalogue_moved():
        return False
    with _single_flight():
        return snapshot_build.build(catalogue_table(), until=until, refit=False).written


def _fill(until: datetime, catalogue: ContentTable, report: Progress) -> tuple[OpenWindows, int]:
    """Fold all open hours; returns them and the number of states written."""
    first, windows = log_windows.open_windows(until)
    if first is None:
        return windows, 0
    duration_of = dict(zip(catalogue.content_id.tolist(), catalogue.duration_s.tolist(), strict=True))
    with transaction.atomic():
        start = log_windows.moment(first)
        ContentFeatures.objects.filter(window_start__gte=start).delete()
        FillState.objects.filter(window_start__gte=start).delete()
    states, done, total = 0, 0, int(windows.events.sum())
    for run in log_windows.chunks(windows, max_events=MAX_EVENTS_AT_ONCE):
        report("counters", done, total)
        part = OpenWindows(windows.window[run], windows.events[run])
        states += _fold_run(part, until, duration_of)
        done += int(part.events.sum())
    report("counters", done, total)
    return windows, states


@transaction.atomic
def _fold_run(part: OpenWindows, until: datetime, duration_of: dict[str, float]) -> int:
    """Add some hours to the states before them; returns how many states were written."""
    start = log_windows.moment(int(part.window[0]))
    end = min(log_windows.moment(int(part.window[-1]) + 1), until)
    log = interactions_between(start, end)
    ids = log.contents
    duration_s = np.array([duration_of.get(each, np.nan) for each in ids.tolist()], np.float32)
    counts = count_windows(log, content=np.arange(len(ids)), duration_s=duration_s)
    base = store.before_window(ids.tolist(), start)
    clock = LogClock.of(np.append(log_windows.filled_before(start), part.window))
    _, steps = fold(counts, base, clock=clock, until=until.timestamp())
    store.put_counters(ids, content=counts.content, window=counts.window, states=steps)
    FillState.objects.bulk_create(
        FillState(
            window_start=log_windows.moment(window),
            as_of=min(log_windows.moment(window + 1), until),
            events=events,
            feature_set=COUNTER_SET,
        )
        for window, events in zip(part.window.tolist(), _counted(log.timestamp, part.window), strict=True)
    )
    return len(counts)


def _counted(timestamp: NDArray[np.float64], window: NDArray[np.int64]) -> list[int]:
    """Events per hour that were really read: one that arrived since the counting is there already."""
    hours, events = np.unique(np.floor(timestamp / WINDOW_S).astype(np.int64), return_counts=True)
    found = dict(zip(hours.tolist(), events.tolist(), strict=True))
    return [found.get(hour, 0) for hour in window.tolist()]


@contextmanager
def _single_flight() -> Iterator[None]:
    """Hold the advisory lock; the server frees it when this connection is lost."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _silent(stage: str, done: int, total: int) -> None:
    """Report nothing."""
