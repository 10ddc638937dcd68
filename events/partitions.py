"""The monthly partitions of the event log: made when a batch needs one, made ahead, dropped by the retention setting.

A partition is made as a table of its own and attached, which disturbs neither readers nor writers of the log, and on
a connection of its own, so that a long import never holds the lock and a rolled back one leaves the partition behind.

A month that was dropped is never made again: what was derived from it stays (`models.DroppedMonth`), and one late event
would have an hour of it derived anew, from that event alone.

It does not decide what else belongs into the log, and it deletes no single event.
"""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from django.conf import settings
from django.db import OperationalError, connection

from events.models import REFUSALS, Event, EventId

# Made and dropped by one process at a time, whoever they are; any number that nobody else takes.
LOCK: Final = 0x5EC5_0001
# Likewise for the rows of `hour_change` that are put together, corrected or dropped (`hour_counts`).
HOURS_LOCK: Final = 0x5EC5_0004
# Making waits for other makers only. Dropping waits for everybody who uses the log, and whoever comes meanwhile waits
# behind it: it gives up soon and is tried again at the next tick.
MAKE_TIMEOUT: Final = "5s"
DROP_TIMEOUT: Final = "500ms"
PRUNED_ROWS: Final = 20_000
LEAST_DEDUP_DAYS: Final = 7

_TABLE: Final = Event._meta.db_table
_NAME: Final = re.compile(rf"{_TABLE}_(\d{{4}})_(\d{{2}})")
# The condition is that of the index event_refused.
_KEEP_REFUSALS: Final = """
    INSERT INTO refusal (event_id, event_type, user_id, content_id, creator_id, "timestamp")
    SELECT event_id, event_type, user_id, content_id, creator_id, "timestamp" FROM "{}" month
    WHERE event_type = ANY(%s) AND NOT EXISTS (SELECT FROM refusal known WHERE known.event_id = month.event_id)
    ON CONFLICT DO NOTHING
"""
_known: set[date] = set()


class MonthDropped(Exception):
    """Retention has taken this month out of the log; it is not made again."""

    def __init__(self, month: date) -> None:
        super().__init__(f"the log has dropped {month:%Y-%m}")
        self.month = month


@dataclass(frozen=True, slots=True)
class Partition:
    """One month of the log: its table, and the first day of the month (UTC)."""

    table: str
    month: date


def month_of(moment: datetime) -> date:
    """The first day of the UTC month of a moment.

    >>> from datetime import timedelta, timezone
    >>> month_of(datetime(2026, 12, 1, 0, 30, tzinfo=timezone(timedelta(hours=2))))
    datetime.date(2026, 11, 1)
    """
    moment = moment.astimezone(UTC)
    return date(moment.year, moment.month, 1)


def shifted(month: date, months: int) -> date:
    """A month so many months later, or earlier for a negative number.

    >>> shifted(date(2026, 11, 1), 3), shifted(date(2026, 1, 1), -1)
    (datetime.date(2027, 2, 1), datetime.date(2025, 12, 1))
    """
    year, number = divmod(month.year * 12 + month.month - 1 + months, 12)
    return date(year, number + 1, 1)


def existing() -> list[Partition]:
    """The partitions there are, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = %s::regclass",
            [_TABLE],
        )
        names = [name for (name,) in cursor.fetchall()]
    found = [(name, _NAME.fullmatch(name)) for name in names]
    parts = [Partition(name, date(int(match[1]), int(match[2]), 1)) for name, match in found if match]
    return sorted(parts, key=lambda part: part.month)


def ensure(months: Collection[date]) -> list[date]:
    """Make sure that these months have a partition; returns the ones that had none. Known ones cost nothing.

    Raises
    ------
    MonthDropped : one of them had a partition once, which retention has dropped
    """
    if _known.issuperset(months):
        return []
    _known.update(part.month for part in existing())
    missing = sorted(set(months) - _known)
    for month in missing:
        _make(month)
        _known.add(month)
    return missing


def forget() -> None:
    """Drop what this process remembers: another one may have dropped a partition."""
    _known.clear()


def create_ahead(*, now: datetime, months: int = 3) -> list[date]:
    """Make the partitions of this month and of the next `months`; returns the new ones."""
    forget()
    current = month_of(now)
    return ensure([shifted(current, number) for number in range(months + 1)])


def drop_expired(*, now: datetime, keep: int | None = None) -> list[date]:
    """Drop the partitions older than the `keep` months before the current one; returns the dropped months.

    `keep` defaults to EVENT_RETENTION_MONTHS; 0 keeps everything. What cannot be locked at once stays until next time.
    What was derived from a month stays when the month goes: its refusals (see `models.Refusal`), sessions, rollups and
    the counts of features; no event of it is taken any more.
    """
    keep = settings.EVENT_RETENTION_MONTHS if keep is None else keep
    if keep < 0:
        raise ValueError(f"keep must be 0 (everything) or a number of months; got {keep}")
    oldest = shifted(month_of(now), -keep)
    expired = [part for part in existing() if keep and part.month < oldest]
    dropped = []
    for part in expired:
        try:
            with _exclusively(DROP_TIMEOUT) as cursor:
                _drop(cursor, part, now)
        except OperationalError as error:
            if _sqlstate(error) != "55P03":  # lock_not_available
                raise
        else:
            dropped.append(part.month)
    forget()
    return dropped


def prune_ids(*, now: datetime, keep_days: int | None = None) -> int:
    """Forget event ids that arrived more than `keep_days` days ago (default EVENT_DEDUP_DAYS); returns how many.

    A retry that comes later than this would be stored again. Deleted a page of rows at a time, found by the block range
    index on the day of arrival, so that no transaction is long.
    """
    keep_days = settings.EVENT_DEDUP_DAYS if keep_days is None else keep_days
    if keep_days < LEAST_DEDUP_DAYS:
        raise ValueError(f"event ids are kept for at least {LEAST_DEDUP_DAYS} days; got {keep_days}")
    horizon = date.fromordinal(now.astimezone(UTC).toordinal() - keep_days)
    table, pruned, deleted = EventId._meta.db_table, 0, PRUNED_ROWS
    while deleted == PRUNED_ROWS:
        with connection.cursor() as cursor:
            cursor.execute(
                f"DELETE FROM {table} WHERE ctid = ANY(ARRAY("  # noqa: S608  the table's own name
                f"SELECT ctid FROM {table} WHERE arrived < %s LIMIT %s))",
                [horizon, PRUNED_ROWS],
            )
            deleted = int(cursor.rowcount)
        pruned += deleted
    return pruned


def _make(month: date) -> None:
    name = f"{_TABLE}_{month:%Y_%m}"
    start, end = _bounds(month)
    with _exclusively(MAKE_TIMEOUT) as cursor:
        cursor.execute("SELECT to_regclass(%s)", [name])
        if cursor.fetchone()[0] is not None:
            return  # another process was first
        cursor.execute("SELECT FROM dropped_month WHERE month = %s", [month])
        if cursor.fetchone() is not None:
            raise MonthDropped(month)
        cursor.execute(f'CREATE TABLE "{name}" (LIKE {_TABLE} INCLUDING ALL)')
        cursor.execute(f'ALTER TABLE {_TABLE} ATTACH PARTITION "{name}" FOR VALUES FROM (%s) TO (%s)', [start, end])


def _drop(cursor: Any, part: Partition, now: datetime) -> None:
    cursor.execute("SELECT to_regclass(%s)", [part.table])
    if cursor.fetchone()[0] is None:
        return  # another process was first
    # Once while others go on reading and writing, once more for what they wrote meanwhile; the second time is short.
    cursor.execute(_KEEP_REFUSALS.format(part.table), [list(REFUSALS)])
    cursor.execute(f'LOCK TABLE "{part.table}" IN ACCESS EXCLUSIVE MODE')
    cursor.execute(_KEEP_REFUSALS.format(part.table), [list(REFUSALS)])
    cursor.execute(f'DROP TABLE "{part.table}"')
    cursor.execute("INSERT INTO dropped_month VALUES (%s, %s) ON CONFLICT DO NOTHING", [part.month, now])
    # Hours that are known to have had events and have none would be done again, to nothing.
    start, end = _bounds(part.month)
    cursor.execute("DELETE FROM window_fill WHERE window_start >= %s AND window_start < %s", [start, end])
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [HOURS_LOCK])
    cursor.execute("DELETE FROM hour_change WHERE window_start >= %s AND window_start < %s", [start, end])


def _bounds(month: date) -> tuple[str, str]:
    return f"{month} 00:00:00+00", f"{shifted(month, 1)} 00:00:00+00"


@contextmanager
def _exclusively(timeout: str) -> Iterator[Any]:
    """A transaction on a connection of its own, holding the lock under which partitions come and go."""
    own = connection.copy()
    try:
        own.set_autocommit(False)
        with own.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true), pg_advisory_xact_lock(%s)", [timeout, LOCK])
            yield cursor
        own.commit()
    finally:
        own.close()


def _sqlstate(error: Exception) -> str | None:
    return getattr(error.__cause__, "pgcode", None)
