"""Bringing trends up to date: a whole log at once, and the tick of a minute, beside SQL that counts the same windows.

The SQL is the limit of counting: one statement that groups the same events into the same rows of an equal table. It
judges nothing, while a refresh also finds the hours that changed, and compares every thing with its past of four weeks.
Both must end with the same rows.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from django.db import connection

from events import partitions
from events.catalogue import NewContent, register_contents
from features import trends
from features.extraction.trends import ENGAGING_TYPES
from recsys.benchmarks.results import Bar, Options, Result
from recsys.benchmarks.scratch import BenchmarkFailedError

EVENTS: Final = 1_000_000
QUICK_EVENTS: Final = 200_000
DAYS: Final = 28
CONTENTS: Final = 10_000
TICKS: Final = 11
TICK_EVENTS: Final = 200
END: Final = datetime(2026, 11, 20, 21, 30, tzinfo=UTC)
MOST_TIMES_SQL: Final = 1.5
MOST_TICK_SHARE: Final = 0.2
"""Of the SQL that counts the whole log: what a tick would cost that counts everything again."""

# Most people come in the evening, few contents are known to many. One event in three is a view of up to 20 s.
_FILL: Final = """
    INSERT INTO event (event_id, event_type, user_id, content_id, "timestamp", received_at, additional_info)
    SELECT gen_random_uuid(), kind, 'u' || floor(20000 * random()), 'c' || floor(%(contents)s * power(random(), 4)),
           at, at, CASE WHEN kind = 'view' THEN jsonb_build_object('watch_duration', round((20 * random())::numeric, 1))
                   ELSE '{}'::jsonb END
    FROM (
        SELECT (ARRAY['impression', 'impression', 'impression', 'view', 'view', 'view', 'complete_view', 'skip', 'like',
                      'save'])[1 + floor(10 * random())::int] AS kind,
               %(end)s::timestamptz - make_interval(secs => %(span_s)s * random() * CASE WHEN %(span_s)s > 86400
                                                    THEN 1 ELSE random() END) AS at
        FROM generate_series(1, %(events)s)
    ) AS drawn
"""
_GROUP: Final = """
    INSERT INTO trend_limit (kind, name, hour, people)
    WITH engaged AS MATERIALIZED (
        SELECT floor(extract(epoch FROM "timestamp") / 3600)::int AS hour, user_id, content_id, content.creator_id,
               metadata
        FROM event LEFT JOIN content USING (content_id)
        WHERE event_type = ANY(%(types)s) AND "timestamp" >= %(start)s AND "timestamp" < %(end)s
          AND (event_type <> 'view' OR (additional_info->>'watch_duration')::real >= least(18, duration_s::real))
          AND NOT (additional_info @> '{"bot": true}' OR additional_info @> '{"internal": true}')
    )
    SELECT 1, content_id, hour, count(DISTINCT user_id) FROM engaged GROUP BY content_id, hour
    UNION ALL
    SELECT 2, creator_id, hour, count(DISTINCT user_id) FROM engaged GROUP BY creator_id, hour
    UNION ALL
    SELECT 3, tag, hour, count(DISTINCT user_id) FROM engaged, jsonb_array_elements_text(metadata->'tags') AS tag
    GROUP BY tag, hour
    UNION ALL
    SELECT 4, metadata->>'category', hour, count(DISTINCT user_id) FROM engaged GROUP BY metadata->>'category', hour
"""
_DIFFERING: Final = """
    SELECT count(*) FROM trend_point mine FULL JOIN trend_limit theirs USING (kind, name, hour)
    WHERE mine.people IS DISTINCT FROM theirs.people
"""


def run(options: Options) -> Result:
    """Fill a log, refresh from nothing and tick by tick, and let SQL count the same."""
    events = QUICK_EVENTS if options.quick else EVENTS
    _fill_catalogue()
    partitions.ensure({partitions.month_of(END - timedelta(days=day)) for day in range(DAYS + 1)})
    _add(events, span_s=DAYS * 86_400.0)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE trend_limit (LIKE trend_point INCLUDING ALL)")
        cursor.execute("ANALYZE event, content")
    started = time.perf_counter()
    report = trends.refresh(until=END)
    whole_s = time.perf_counter() - started
    sql_s = _group(END - timedelta(days=DAYS + 1))
    _check_equal()
    ticks, quiet = [], []
    for _ in range(TICKS):
        _add(TICK_EVENTS, span_s=1_000.0)
        ticks.append(_timed())
        quiet.append(_timed())
    hour_s = float(np.median([_group(END.replace(minute=0)) for _ in range(TICKS)]))
    return _judge(events, report.points, whole_s, sql_s, float(np.median(ticks)), float(np.median(quiet)), hour_s)


def _judge(
    events: int, points: int, whole_s: float, sql_s: float, tick_s: float, quiet_s: float, hour_s: float
) -> Result:
    figures = {
        "events": events,
        "points": points,
        "whole_s": whole_s,
        "whole_events_per_s": events / whole_s,
        "sql_whole_s": sql_s,
        "times_sql": whole_s / sql_s,
        "tick_ms": 1e3 * tick_s,
        "quiet_tick_ms": 1e3 * quiet_s,
        "sql_hour_ms": 1e3 * hour_s,
        "tick_share_of_whole_sql": tick_s / sql_s,
    }
    rows = [
        (
            f"{events:,} events from nothing",
            f"{whole_s:.2f} s, {events / whole_s:,.0f} events/s, {points:,} rows",
            f"{sql_s:.2f} s by one SQL statement",
        ),
        (
            f"a tick after {TICK_EVENTS} events",
            f"{1e3 * tick_s:.0f} ms",
            f"{1e3 * hour_s:.0f} ms by SQL for the hour alone",
        ),
        ("a tick after nothing", f"{1e3 * quiet_s:.0f} ms", "judges the newest window again"),
    ]
    bars = (
        Bar.at_most("trends: times the plain SQL", whole_s / sql_s, MOST_TIMES_SQL),
        Bar.at_most("trends: a tick as a share of counting all", tick_s / sql_s, MOST_TICK_SHARE),
    )
    return Result("trends", figures, ("work", "measured", "limit"), rows, bars)


def _fill_catalogue() -> None:
    register_contents(
        NewContent(
            content_id=f"c{number}",
            creator_id=f"k{number % 900}",
            upload_timestamp=END - timedelta(days=DAYS),
            metadata={"tags": [f"t{number % 300}", f"s{number % 7}"], "category": f"g{number % 12}"},
            duration_s=6.0 + number % 30,
        )
        for number in range(CONTENTS)
    )


def _add(events: int, *, span_s: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_FILL, {"events": events, "contents": CONTENTS, "end": END, "span_s": span_s})


def _timed() -> float:
    started = time.perf_counter()
    trends.refresh(until=END)
    return time.perf_counter() - started


def _group(start: datetime) -> float:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE trend_limit")
        started = time.perf_counter()
        cursor.execute(_GROUP, {"types": list(ENGAGING_TYPES), "start": start, "end": END})
        return time.perf_counter() - started


def _check_equal() -> None:
    """Counts that differ must not be compared by time."""
    with connection.cursor() as cursor:
        cursor.execute(_DIFFERING)
        (differing,) = cursor.fetchone()
    if differing:
        raise BenchmarkFailedError(f"{differing} counts of people differ from those of the plain SQL")
