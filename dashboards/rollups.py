"""Bring the rollups in line with the log: rebuild the days with open hours, then what follows from them.

    log, hours that are open --> days as a whole --> new users, medians of days, weeks and months (`settling`)

A day is rebuilt from its events and the stored sessions alone, so the result depends on the database only: in whatever
order events came, the same figures come out. While the server reads out one day, another thread counts the one before.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction

from dashboards import settling
from dashboards.day_build import Facts, Inputs, Measured, measure, read_inputs
from dashboards.midnight import carried
from dashboards.models import KpiCell, KpiContent, KpiDay, KpiPoint, KpiUser, KpiUserDay, KpiUsers
from dashboards.numbering import Numbering
from dashboards.rollup_rows import CONTENTS, USERS, write_day
from dashboards.stats.periods import DAY, midnight
from events import activity_log, sessions, windows
from events.activity_log import ActivityLog
from events.windows import Window

LOCK: Final = 7_204_001
"""Advisory lock: two schedulers never rebuild the same day, or number users, at once."""
WATCHED_DAYS: Final = 3
"""Of so many days at the end, and beside those rebuilt, sessions are compared with what the rollup was made of."""
MAX_PASSES: Final = 6

Progress = Callable[[int, int], None]
"""Called after each day with how many of how many are done."""


@dataclass(frozen=True, slots=True)
class KpiReport:
    """What a call of `measure_kpis` did."""

    days_rebuilt: tuple[date, ...]


@dataclass(slots=True)
class _Run:
    """What a run remembers between its days."""

    zone: ZoneInfo
    until: datetime
    facts: Facts = field(default_factory=Facts)
    users: Numbering = field(default_factory=partial(Numbering, USERS))
    contents: Numbering = field(default_factory=partial(Numbering, CONTENTS))

    def forget(self) -> None:
        """What was numbered may have been rolled back."""
        self.users.forget()
        self.contents.forget()


@dataclass(frozen=True, slots=True)
class _Job:
    """A day in work: its open hours, the mark of its sessions before they were read, and the result to come."""

    day: date
    hours: list[Window]
    mark: str
    result: "Future[Measured]"


def family() -> str:
    """The windows of the rollups; another time zone has other days, so all of its hours are open."""
    return f"kpi {settings.REPORTING_TIME_ZONE[-28:]}"


def measure_kpis(*, until: datetime, progress: Progress | None = None) -> KpiReport:
    """Bring every day up to `until` in line with the log: rebuild the days with open hours, each in one transaction.

    Running it again without new events rebuilds nothing, and another scheduler's hours are left to that one (see
    `events.windows`). A day is rebuilt as a whole, so all its open hours fail with one that cannot be read, and the
    other days go on. A session may have changed on a day whose events did not (it ends after midnight), and a click
    may belong to the day before; such days are found and rebuilt in another pass.
    """
    sessions.rebuild_sessions(until=until)
    run = _Run(ZoneInfo(settings.REPORTING_TIME_ZONE), until)
    _start_anew_in_another_zone()
    rebuilt: set[date] = set()
    for _ in range(MAX_PASSES):
        fresh = _pass(run, progress)
        rebuilt |= fresh
        if not _reopen_neighbours(run, fresh):
            break
    with transaction.atomic():
        _lock()
        settling.settle(run.zone, until=until)
    return KpiReport(days_rebuilt=tuple(sorted(rebuilt)))


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def _start_anew_in_another_zone() -> None:
    """Drop every rollup where they are of another time zone; days of two zones must not stand beside each other."""
    with transaction.atomic():
        _lock()
        if not KpiDay.objects.exclude(zone=settings.REPORTING_TIME_ZONE).exists():
            return
        for model in (KpiDay, KpiCell, KpiUsers, KpiUserDay, KpiPoint, KpiUser, KpiContent):
            model.objects.all().delete()
        windows.reopen(datetime.fromtimestamp(0, UTC), datetime.max.replace(tzinfo=UTC), family=family())


def _days_of(window: Window, zone: ZoneInfo) -> list[date]:
    """The days that an hour is part of: two where midnight lies within it."""
    last = window.end - timedelta(microseconds=1)
    return sorted({moment.astimezone(zone).date() for moment in (window.start, last)})


def _pass(run: _Run, progress: Progress | None) -> set[date]:
    """Rebuild the days with open hours; those that were."""
    opened = windows.open_windows(family(), until=run.until)
    hours_of: dict[date, list[Window]] = {}
    for hour in opened:
        hours_of.setdefault(_days_of(hour, run.zone)[0], []).append(hour)
    # An hour with midnight in it is done with the day it begins on, and rebuilds the next one as well.
    second = {_days_of(hour, run.zone)[-1] for hour in opened} - hours_of.keys()
    rebuilt: set[date] = set()
    waiting: _Job | None = None
    with ThreadPoolExecutor(1) as counter:
        for done, (day, hours) in enumerate(sorted(hours_of.items())):
            job = _ahead(run, day, hours, counter, partial(_finish, run, waiting, second, rebuilt))
            waiting = job
            if progress:
                progress(done, len(hours_of))
        _finish(run, waiting, second, rebuilt)
    if progress and hours_of:
        progress(len(hours_of), len(hours_of))
    return rebuilt


def _ahead(
    run: _Run, day: date, hours: list[Window], counter: ThreadPoolExecutor, meanwhile: Callable[[], None]
) -> _Job:
    """Read a day here and let the other thread parse and count it; the result raises what either raised.

    While it parses, `meanwhile` writes the day before.
    """
    result: Future[Measured] = Future()
    mark = ""
    parsed = None
    try:
        with transaction.atomic():
            parsed = counter.submit(_read(run, day).parsed)
    except Exception as error:
        result.set_exception(error)
    meanwhile()
    if parsed is not None:
        try:
            log = parsed.result()
            with transaction.atomic():
                mark = _session_mark(run, day)
                inputs = read_inputs(day, log, run.zone, run.facts)
            result = counter.submit(measure, day, inputs, run.zone, run.facts)
        except Exception as error:
            result.set_exception(error)
    return _Job(day, hours, mark, result)


def _read(run: _Run, day: date) -> ActivityLog:
    end = min(midnight(day + DAY, run.zone), run.until)
    return activity_log.activity_log(midnight(day, run.zone), end)


def _session_mark(run: _Run, day: date) -> str:
    return activity_log.session_mark(midnight(day, run.zone), midnight(day + DAY, run.zone))


def _finish(run: _Run, job: _Job | None, second: set[date], rebuilt: set[date]) -> None:
    """Write a day once it is counted, in the transaction that closes its hours."""
    if job is None:
        return
    days: list[date] = []

    def work(mine: Sequence[Window]) -> None:
        _lock()
        _write(run, job.result.result(), job.mark)
        days.append(job.day)
        # The hours of a zone with a broken offset, where midnight falls into an hour that is open.
        for day in sorted({day for hour in mine for day in _days_of(hour, run.zone)} & second):
            mark = _session_mark(run, day)
            log = _read(run, day).parsed()
            inputs: Inputs = read_inputs(day, log, run.zone, run.facts)
            _write(run, measure(day, inputs, run.zone, run.facts), mark)
            days.append(day)

    if windows.work_off(family(), job.hours, work, now=run.until, divisible=False):
        rebuilt.update(days)
    else:
        run.forget()


def _write(run: _Run, measured: Measured, mark: str) -> None:
    start = midnight(measured.day, run.zone)
    write_day(
        measured, carried(measured.pending, start, run.zone, run.facts), zone=settings.REPORTING_TIME_ZONE, mark=mark,
        now=run.until, users=run.users, contents=run.contents,
    )  # fmt: skip


def _reopen_neighbours(run: _Run, rebuilt: set[date]) -> bool:
    """Open the days again that what was rebuilt may have changed; whether there are any."""
    beside = {day + step for day in rebuilt for step in (-DAY, DAY)} - rebuilt
    newest = KpiDay.objects.order_by("-day").values_list("day", flat=True)[:WATCHED_DAYS]
    known = KpiDay.objects.filter(day__in=beside | set(newest) - rebuilt).values_list("day", "session_mark", "carries")
    stale = [
        day
        for day, mark, carries in known
        if (carries and day - DAY in rebuilt) or mark != _session_mark(run, day)
    ]  # fmt: skip
    for day in stale:
        windows.reopen(midnight(day, run.zone), midnight(day + DAY, run.zone), family=family(), failed=False)
    return bool(stale)
