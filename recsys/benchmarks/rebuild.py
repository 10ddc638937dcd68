"""How fast the stored sessions are rebuilt from a log that was imported whole, beside reading the same columns."""

import time
from datetime import UTC, datetime
from typing import Any, Final

from django.db import connection

from events import partitions, sessions
from recsys.benchmarks.results import Bar, Options, Result
from recsys.benchmarks.scratch import BenchmarkFailedError

EVENTS: Final = 500_000
QUICK_EVENTS: Final = 200_000
VISIT_EVENTS: Final = 20
VISITS_PER_USER: Final = 12
LEAST_EVENTS_PER_S: Final = 100_000.0
START: Final = datetime(2026, 9, 1, tzinfo=UTC)
END: Final = datetime(2026, 10, 1, tzinfo=UTC)

# Visits of twenty events, some seconds apart, spread over a month; views carry what was watched.
_FILL: Final = """
    INSERT INTO event (event_id, event_type, user_id, content_id, "timestamp", received_at, additional_info)
    SELECT gen_random_uuid(), kind, 'u' || visit %% %(users)s, 'c' || (random() * 5000)::int,
           began + step * interval '9 seconds' + random() * interval '5 seconds', %(end)s,
           CASE kind WHEN 'view' THEN jsonb_build_object('watch_duration', round((random() * 12)::numeric, 2),
               'device', 'd' || visit %% 2) ELSE jsonb_build_object('device', 'd' || visit %% 2) END
    FROM (SELECT visit, %(start)s::timestamptz + random() * (%(end)s::timestamptz - %(start)s::timestamptz) AS began
          FROM generate_series(1, %(visits)s) AS visit OFFSET 0) AS visits,
         LATERAL (SELECT step, CASE step %% 2 WHEN 0 THEN 'impression' ELSE 'view' END AS kind
                  FROM generate_series(1, %(steps)s) AS step) AS steps
"""


def run(options: Options) -> Result:
    """Fill a month, read it by COPY, rebuild its sessions, and rebuild them once more from their own rows."""
    events = QUICK_EVENTS if options.quick else EVENTS
    visits = events // VISIT_EVENTS
    partitions.ensure([partitions.month_of(START), partitions.month_of(END)])
    users = max(visits // VISITS_PER_USER, 1)
    with connection.cursor() as cursor:
        values: dict[str, Any] = {"users": users, "visits": visits, "steps": VISIT_EVENTS, "start": START, "end": END}
        cursor.execute(_FILL, values)
        cursor.execute("VACUUM ANALYZE event")
        cursor.execute("SELECT array_agg(DISTINCT user_id) FROM event")
        (names,) = cursor.fetchone()
    started = time.perf_counter()
    everything = sessions.read_events(names, START, END.replace(day=2))
    read_s = time.perf_counter() - started
    started = time.perf_counter()
    report = sessions.rebuild_sessions(until=END.replace(day=3))
    seconds = time.perf_counter() - started
    if len(everything.time) != events or report.written < visits // 2:
        raise BenchmarkFailedError(f"{events} events were stored, and the rebuild says {report}")
    return _judge(events, report.written, seconds, read_s)


def _judge(events: int, written: int, seconds: float, read_s: float) -> Result:
    events_per_s, read_per_s = events / seconds, events / read_s
    figures: dict[str, Any] = {
        "events": events,
        "sessions": written,
        "seconds": seconds,
        "events_per_s": events_per_s,
        "read_events_per_s": read_per_s,
        "share_of_reading": events_per_s / read_per_s,
    }
    rows = [
        ("events/s", f"{events_per_s:,.0f}", f"{read_per_s:,.0f} by one COPY of the columns alone"),
        ("events, sessions", f"{events:,}, {written:,}", f"{seconds:.1f} s"),
    ]
    bar = Bar.at_least("rebuild: events per second", events_per_s, LEAST_EVENTS_PER_S)
    return Result("rebuild", figures, ("figure", "measured", "limit"), rows, (bar,))
