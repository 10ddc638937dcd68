"""Closed windows of the log: which hours a family of derived rows has taken in, and which it has to do again.

A family (the stored sessions are one) is recomputed by hours, never incremented. An hour is open when events came to
it or went from it since the family last saw it: late events, imports and erasures are found alike, whoever wrote them
(`hour_counts`), and without a look at the log. What changes no event has to be said with `reopen`.

`fill` makes the work of some hours safe: each is done by one scheduler only, and one that dies leaves rows that say so
and hours that are done again. `work_off` keeps an hour whose work raises from holding up the others: it is found, tried
again a few times, ever later, and then set aside with the reason, until somebody asks for it again. What the work is,
the caller knows.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django.db.models import Count, Max, Min

from events import hour_counts
from events.group_commit import is_transient
from events.models import Event, WindowFill

WINDOW_S: Final = 3600
# No log has so many events in an hour: the number of an hour that is to be done again whatever the log says.
AGAIN: Final = -1
MAX_ATTEMPTS: Final = 5
# Doubled with every attempt: after one, two, four and eight minutes.
BACKOFF_S: Final = 60
MAX_ERROR_CHARS: Final = 1_000

logger = logging.getLogger(__name__)

_KNOW: Final = """
    INSERT INTO window_fill (family, window_start, state, events, started_at, attempts, error)
    SELECT %s, hour.start, 'started', hour.events, %s, 0, ''
    FROM unnest(%s::timestamptz[], %s::bigint[]) AS hour (start, events)
    -- Its month may be dropped after it was listed: then there is nothing left to do it from.
    WHERE date_trunc('month', hour.start AT TIME ZONE 'UTC') NOT IN (SELECT month FROM dropped_month)
    ON CONFLICT DO NOTHING
"""
_START: Final = """
    UPDATE window_fill SET state = 'started', started_at = %s WHERE id IN (
        SELECT known.id FROM unnest(%s::timestamptz[], %s::bigint[], %s::bigint[]) AS hour (start, events, changes)
        JOIN window_fill known ON known.family = %s AND known.window_start = hour.start
        WHERE known.state = 'done' AND (known.events <> hour.events OR known.changes <> hour.changes)
        ORDER BY known.window_start FOR UPDATE OF known SKIP LOCKED
    )
"""
_TAKE: Final = """
    SELECT window_start FROM window_fill
    WHERE family = %s AND window_start = ANY(%s::timestamptz[]) AND state = 'started'
    ORDER BY window_start FOR UPDATE SKIP LOCKED
"""
_DONE: Final = """
    UPDATE window_fill known
    SET state = 'done', events = hour.events, changes = hour.changes, finished_at = %s, attempts = 0, retry_at = NULL,
        error = ''
    FROM unnest(%s::timestamptz[], %s::bigint[], %s::bigint[]) AS hour (start, events, changes)
    WHERE known.family = %s AND known.window_start = hour.start
"""
_FAILED: Final = """
    UPDATE window_fill SET attempts = attempts + 1, error = %s, retry_at = %s + %s * 2 ^ attempts * interval '1 second',
        state = CASE WHEN attempts + 1 >= %s THEN 'aside' ELSE state END
    WHERE family = %s AND window_start = ANY(%s::timestamptz[]) AND state = 'started' RETURNING attempts
"""


@dataclass(frozen=True, slots=True)
class Window:
    """One hour of the log, and how many events it has.

    `changes` is how often events have come to it or gone, where that was counted.
    """

    start: datetime
    events: int
    changes: int | None = field(default=None, compare=False)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return self.start + timedelta(seconds=WINDOW_S)


def open_windows(family: str, *, until: datetime, now: datetime | None = None) -> list[Window]:
    """The hours up to `until` that the family has to do, oldest first; the hour that runs counts as far as it has come.

    An hour whose events are all gone is open once, with 0 events. One that failed is left out while it is not to be
    tried again `now` (by default `until`), and one that is set aside always.
    """
    differing = hour_counts.differing(family, until=until, now=now or until)
    hour_counts.fold()
    return [Window(*hour) for hour in differing]


@contextmanager
def fill(family: str, windows: Sequence[Window], *, now: datetime) -> Iterator[list[Window]]:
    """Do some hours in one transaction; yields those that are this caller's to do, perhaps none.

    The hours are marked STARTED first, in a transaction of their own. Then the block runs, and they are DONE with the
    number of events given, all at once. If the block fails nothing of it stays, and the hours are still STARTED. The
    rows are locked meanwhile; another scheduler passes over them instead of waiting. An event that comes after the
    hours were counted opens its hour again.
    """
    starts, counts, changes = _columns(windows)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_KNOW, [family, now, starts, counts])
        cursor.execute(_START, [now, starts, counts, changes, family])
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_TAKE, [family, starts])
            taken = {start for (start,) in cursor.fetchall()}
        mine = [window for window in windows if window.start in taken]
        yield mine
        with connection.cursor() as cursor:
            cursor.execute(_DONE, [now, *_columns(mine), family])


def work_off(
    family: str,
    run: Sequence[Window],
    work: Callable[[Sequence[Window]], None],
    *,
    now: datetime,
    divisible: bool = True,
) -> list[Window]:
    """Do some hours with `fill`; returns those that were done, without those whose work raises.

    Where the work of several hours fails, each half is tried by itself, down to the hour that is to blame. It is left
    for later, and set aside after `MAX_ATTEMPTS`; the reason stands in its row. A database that is away is no hour's
    fault: that error is raised. Hours that can only be done together (`divisible=False`) share the blame.

    What `work` keeps outside of the database has to outlive a rollback: it is called again with parts of the run.
    """
    try:
        with fill(family, run, now=now) as mine:
            if mine:
                work(mine)
        return mine
    except Exception as error:
        if is_transient(error):
            raise
        if len(run) == 1 or not divisible:
            # Without a row it is not the work that failed, but what is around it.
            if not _note_failure(family, run, error, now=now):
                raise
            return []
    middle = len(run) // 2
    return [*work_off(family, run[:middle], work, now=now), *work_off(family, run[middle:], work, now=now)]


def _columns(windows: Sequence[Window]) -> tuple[list[datetime], list[int], list[int | None]]:
    """Starts, events and changes."""
    return [w.start for w in windows], [w.events for w in windows], [w.changes for w in windows]


def _note_failure(family: str, run: Sequence[Window], error: Exception, *, now: datetime) -> bool:
    """Write the failure into the rows of the hours; False where there is no such row."""
    # What the table cannot keep of a message is of no use to its reader either.
    reason = f"{type(error).__name__}: {error}".replace("\0", "").strip()[:MAX_ERROR_CHARS]
    with connection.cursor() as cursor:
        cursor.execute(_FAILED, [reason, now, BACKOFF_S, MAX_ATTEMPTS, family, [window.start for window in run]])
        attempts = max((tried for (tried,) in cursor.fetchall()), default=0)
    if attempts:
        logger.error("%s of %s failed, attempt %d of %d", run[0].start, family, attempts, MAX_ATTEMPTS, exc_info=error)
    return attempts > 0


def set_aside() -> dict[str, int]:
    """For each family: how many hours failed every time and wait for somebody; 0 where there are none."""
    families = dict.fromkeys(WindowFill.objects.order_by().values_list("family", flat=True).distinct(), 0)
    rows = WindowFill.objects.filter(state=WindowFill.State.ASIDE).order_by().values("family")
    return families | {row["family"]: row["hours"] for row in rows.annotate(hours=Count("pk"))}


def try_again(ids: Sequence[int]) -> int:
    """Let failed hours be done at the next run, with as many attempts as a new one; returns how many."""
    failed = WindowFill.objects.filter(pk__in=ids, attempts__gt=0)
    return failed.update(state=WindowFill.State.STARTED, attempts=0, retry_at=None)


def reopen(start: datetime, end: datetime, *, family: str | None = None, failed: bool = True) -> int:
    """Ask for the hours that overlap `start` to `end` to be done again, by every family unless one is named.

    Hours that failed are tried at once, with as many attempts as new ones, or else (`failed=False`) left as they are.
    """
    first = datetime.fromtimestamp(start.timestamp() // WINDOW_S * WINDOW_S, UTC)
    rows = WindowFill.objects.filter(window_start__gte=first, window_start__lt=end)
    if family is not None:
        rows = rows.filter(family=family)
    if not failed:
        return rows.filter(attempts=0).update(events=AGAIN)
    rows.filter(attempts__gt=0).update(state=WindowFill.State.STARTED, attempts=0, retry_at=None)
    return rows.update(events=AGAIN)


def reopen_hours(starts: Collection[datetime], *, family: str) -> int:
    """Ask for some hours to be done again by one family; those that failed are left as they are."""
    return WindowFill.objects.filter(family=family, window_start__in=starts, attempts=0).update(events=AGAIN)


def known(start: datetime, end: datetime, *, family: str) -> list[datetime]:
    """Starts of the hours overlapping `start` to `end` that a family has worked on and the log has not dropped."""
    first = datetime.fromtimestamp(start.timestamp() // WINDOW_S * WINDOW_S, UTC)
    rows = WindowFill.objects.filter(window_start__gte=first, window_start__lt=end, family=family)
    return list(rows.values_list("window_start", flat=True))


def unfinished() -> dict[str, datetime]:
    """For each family with a run that has not ended: when the oldest such run began."""
    rows = WindowFill.objects.filter(state=WindowFill.State.STARTED).order_by()
    return {row["family"]: row["oldest"] for row in rows.values("family").annotate(oldest=Min("started_at"))}


def lags(*, now: datetime) -> dict[str, float]:
    """By how many seconds each family is behind: the newest event (up to `now`) minus the end of its newest run.

    0 where it has caught up; a run that has not ended counts from its beginning. Looks at no hour, so it is cheap.
    """
    newest = Event.objects.filter(timestamp__lt=now).aggregate(newest=Max("timestamp"))["newest"]
    rows = WindowFill.objects.order_by().values("family").annotate(finished=Max("finished_at"))
    lag_s = {
        row["family"]: max((newest - row["finished"]).total_seconds(), 0.0) if newest and row["finished"] else 0.0
        for row in rows
    }
    for family, began in unfinished().items():
        lag_s[family] = max(lag_s[family], (now - began).total_seconds())
    return lag_s


def runs(windows: Sequence[Window], *, max_events: int, max_windows: int) -> list[list[Window]]:
    """Cut windows into runs of bounded size; an hour that is larger by itself is a run of its own.

    >>> hours = [Window(datetime(2026, 11, 23, hour, tzinfo=UTC), 4) for hour in range(5)]
    >>> [len(run) for run in runs(hours, max_events=8, max_windows=10)]
    [2, 2, 1]
    """
    cut: list[list[Window]] = []
    total = 0
    for window in windows:
        if not cut or total + window.events > max_events or len(cut[-1]) == max_windows:
            cut.append([])
            total = 0
        cut[-1].append(window)
        total += window.events
    return cut
