"""How many events each hour of the log has, without a look at the log.

Triggers of the log write one row of `hour_change` per statement and hour (migration 0008), in the transaction of the
statement; so the sum over an hour is exact in every snapshot, and no writer waits for another. Rows of an hour are
put together when there are too many (`fold`). What goes around the triggers is found by counting the log (`recount`):
statements that name a partition instead of the log, partitions attached or detached by hand, replicas.

`changes` counts arrivals and removals together and never falls, so it tells an hour in which one event was erased and
another one came from an hour that was left alone.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Final

from django.db import connection, transaction

from events import partitions

FOLD_AT: Final = 1_000
"""Rows beyond one per hour that are put up with; reading them costs less than a millisecond."""

# A partition that was dropped by hand takes its hours along. One that retention dropped, and that somebody attached
# again, changes nothing that was derived from it.
_DIFFERING: Final = """
    WITH known AS (
        SELECT window_start, sum(events)::bigint AS events, sum(changes)::bigint AS changes FROM hour_change
        WHERE window_start < %(until)s
            AND date_trunc('month', window_start AT TIME ZONE 'UTC') = ANY(%(months)s::timestamp[])
            AND date_trunc('month', window_start AT TIME ZONE 'UTC') NOT IN (SELECT month FROM dropped_month)
        GROUP BY window_start
    ), logged AS (
        SELECT window_start, changes,
            CASE WHEN window_start <= %(until)s - interval '1 hour' THEN events ELSE (
                SELECT count(*) FROM event
                WHERE "timestamp" >= date_bin('1 hour', %(until)s, '1900-01-01 00:00+00') AND "timestamp" < %(until)s
            ) END AS events
        FROM known
    ), filled AS (
        SELECT * FROM window_fill WHERE family = %(family)s AND window_start < %(until)s
    )
    SELECT window_start, coalesce(logged.events, 0), coalesce(logged.changes, 0)
    FROM logged FULL JOIN filled USING (window_start)
    WHERE CASE
        WHEN filled.id IS NULL THEN logged.events > 0
        WHEN filled.state = 'aside' OR filled.retry_at > %(now)s THEN false
        ELSE filled.state <> 'done' OR filled.events <> coalesce(logged.events, 0) OR
            coalesce(filled.changes <> logged.changes, false)
    END
    ORDER BY window_start
"""
_FOLD: Final = """
    WITH known AS (
        SELECT window_start, count(*) AS rows FROM hour_change GROUP BY window_start
    ), gone AS (
        DELETE FROM hour_change USING known
        WHERE hour_change.window_start = known.window_start AND known.rows > 1
            AND (SELECT sum(rows) - count(*) FROM known) > %s
        RETURNING hour_change.window_start, hour_change.events, hour_change.changes
    )
    INSERT INTO hour_change (window_start, events, changes)
    SELECT window_start, sum(events), sum(changes) FROM gone GROUP BY window_start
"""
# A range of event_timestamp per hour, index only: grouping by an expression sorts every event, as the planner cannot
# know how few groups there will be.
_RECOUNT: Final = """
    WITH logged AS (
        SELECT start AS window_start, counted.events
        FROM unnest(%(starts)s::timestamptz[], %(stops)s::timestamptz[]) AS month (first, stop)
        CROSS JOIN generate_series(first, stop - interval '1 hour', interval '1 hour') AS start
        CROSS JOIN LATERAL (
            SELECT count(*) AS events FROM event
            WHERE "timestamp" >= start AND "timestamp" < start + interval '1 hour'
        ) AS counted
        WHERE counted.events > 0
    ), known AS (
        SELECT window_start, sum(events) AS events FROM hour_change GROUP BY window_start
    ), wrong AS (
        SELECT window_start, coalesce(logged.events, 0) - coalesce(known.events, 0) AS by
        FROM logged FULL JOIN known USING (window_start)
    )
    INSERT INTO hour_change (window_start, events, changes)
    SELECT window_start, by, abs(by) FROM wrong WHERE by <> 0
"""


def differing(family: str, *, until: datetime, now: datetime) -> list[tuple[datetime, int, int]]:
    """Hours that the log has otherwise than the family knows them: (start, events, changes), oldest first.

    For what `until` and `now` mean see `windows.open_windows`. One statement; its time grows with the number of hours.
    """
    months = [part.month for part in partitions.existing()]
    with connection.cursor() as cursor:
        cursor.execute(_DIFFERING, {"family": family, "until": until, "now": now, "months": months})
        return [(start.astimezone(UTC), int(events), int(changes)) for start, events, changes in cursor.fetchall()]


def fold(*, at: int = FOLD_AT) -> None:
    """Put the rows of each hour together where more than `at` are superfluous, unless somebody else is at it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [partitions.HOURS_LOCK])
        if cursor.fetchone()[0]:
            cursor.execute(_FOLD, [at])


def recount() -> int:
    """Bring the counts in line with the log, by counting all of it; returns how many hours were wrong."""
    months = [part.month for part in partitions.existing()]
    with transaction.atomic(), connection.cursor() as cursor:
        # By a statement of its own: the next one sees what whoever held the lock wrote.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [partitions.HOURS_LOCK])
        stops = [partitions.shifted(month, 1) for month in months]
        cursor.execute(_RECOUNT, {"starts": _midnights(months), "stops": _midnights(stops)})
        return int(cursor.rowcount)


def _midnights(days: Sequence[date]) -> list[datetime]:
    return [datetime(day.year, day.month, day.day, tzinfo=UTC) for day in days]
