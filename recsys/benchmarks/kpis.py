"""How fast ten million events become KPIs, how fast every tile is read, and how soon new events are in.

The rebuild reads the event log and the stored sessions out of Postgres, counts, and commits: sums per hour and day,
sets of users, medians of days, weeks and months. The limit beside it is reading the same rows and doing nothing with
them. The stored sessions are made by another family of windows and stand already (`bench rebuild` times them).
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from django.db import connection

from dashboards import cohorts, rollups, series
from dashboards.cohorts import Mode
from dashboards.kpis import KPIS
from dashboards.numbering import size_bytes
from dashboards.rollup_rows import ACTIVE, read_sets
from dashboards.stats.periods import Grain
from dashboards.stats.user_sets import bits_of, count, numbers_of, union
from events import sessions
from events.activity_log import activity_log
from events.catalogue import NewContent, register_contents
from recsys.benchmarks.event_rows import LogShape, content_id, fill
from recsys.benchmarks.results import Bar, Options, Result
from recsys.benchmarks.scratch import BenchmarkFailedError

LEAST_EVENTS_PER_S: Final = 300_000.0
MOST_TILE_MS: Final = 300.0
MOST_REFRESH_S: Final = 2.0
START: Final = datetime(2026, 10, 1, tzinfo=UTC)
NEW_EVENTS: Final = 10_000
REPEATS: Final = 7
_APPEND: Final = """
    INSERT INTO event (event_id, event_type, user_id, content_id, "timestamp", received_at, additional_info)
    SELECT gen_random_uuid(), event_type, user_id, content_id, "timestamp" + interval '0.5 seconds', %(now)s,
           additional_info
    FROM event WHERE "timestamp" >= %(since)s AND "timestamp" < %(until)s LIMIT %(events)s
"""


def run(options: Options) -> Result:
    """Fill a month, rebuild its rollups, read every tile, add events and refresh."""
    shape = LogShape(
        events=1_000_000 if options.quick else 10_000_000, users=20_000 if options.quick else 200_000,
        contents=20_000, start=START, days=3 if options.quick else 30, visit=20,
    )  # fmt: skip
    register_contents(
        NewContent(
            content_id(number), f"creator-{number % 2_000}", START - timedelta(hours=1),
            {"caption": "", "tags": [], "category": f"topic-{number % 40}"}, duration_s=5.0 + number % 60,
        )
        for number in range(shape.contents)
    )  # fmt: skip
    fill(shape)
    end = START + timedelta(days=shape.days)
    figures: dict[str, float] = {"events": shape.events}
    started = time.perf_counter()
    report = sessions.rebuild_sessions(until=end)
    figures |= {"sessions": report.written, "sessions_s": time.perf_counter() - started}
    started = time.perf_counter()
    days = rollups.measure_kpis(until=end).days_rebuilt
    figures["rebuild_s"] = time.perf_counter() - started
    figures |= {"days": len(days), "events_per_s": shape.events / figures["rebuild_s"]}
    figures["read_alone_events_per_s"] = _read_alone(min(shape.days, 3))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE kpi_cell, kpi_users, kpi_day, kpi_point")
    figures |= _tiles(end) | _sets(end)
    figures |= _refreshed(end)
    return _judge(figures)


def _read_alone(days: int) -> float:
    """Events per second of the same SELECT and nothing else."""
    events, seconds = 0, 0.0
    for day in range(days):
        started = time.perf_counter()
        log = activity_log(START + timedelta(days=day), START + timedelta(days=day + 1))
        seconds += time.perf_counter() - started
        events += len(log.parsed())
    return events / seconds


def _tiles(end: datetime) -> dict[str, float]:
    """Milliseconds of every tile: thirty days with the thirty before, each KPI alone and with nothing remembered."""
    last = end.date() - timedelta(days=1)
    first = last - timedelta(days=29)
    times: dict[str, list[float]] = {}

    def clock(name: str, ask: object) -> None:
        assert callable(ask)
        for _ in range(REPEATS):
            started = time.perf_counter()
            ask()
            times.setdefault(name, []).append((time.perf_counter() - started) * 1e3)

    for kpi in KPIS:
        grain = Grain.DAY if Grain.DAY in kpi.grains else kpi.grains[0]
        clock(kpi.key, lambda kpi=kpi, grain=grain: series.series(kpi, first, last, grain, now=end, compare=True))
    for key in ("active_users", "ctr", "watch_h"):
        kpi = next(each for each in KPIS if each.key == key)
        clock(
            f"{key} by category",
            lambda kpi=kpi: series.series(kpi, first, last, Grain.DAY, now=end, dimension="category"),
        )
    for mode in Mode:
        clock(
            f"retention {mode}",
            lambda mode=mode: cohorts.retention(
                first, last, Grain.DAY, now=end, mode=mode, length=30, brackets=((1, 1), (2, 3), (4, 7))
            ),
        )
    clock("active days", lambda: cohorts.days_active(last, window=28))
    p95 = {name: float(np.percentile(taken, 95)) for name, taken in times.items()}
    slowest = max(p95, key=lambda name: p95[name])
    everything = np.concatenate([np.array(taken) for taken in times.values()])
    return {
        "tiles": len(p95), "tiles_p95_ms": float(np.percentile(everything, 95)), "slowest_tile_p95_ms": p95[slowest],
        **{f"p95_ms of {name}": value for name, value in sorted(p95.items(), key=lambda item: -item[1])[:5]},
    }  # fmt: skip


def _sets(end: datetime) -> dict[str, float]:
    """Distinct users of a week in three ways: bitmaps, sorted numbers, and SQL over the log."""
    last = end.date() - timedelta(days=1)
    size = size_bytes()
    found = {}
    started = time.perf_counter()
    days = list(read_sets(ACTIVE, "all", last - timedelta(days=6), last, size).values())
    in_bits = count(union(days, size))
    found["week_bitmaps_ms"] = (time.perf_counter() - started) * 1e3
    numbers = [numbers_of(bits) for bits in days]
    started = time.perf_counter()
    in_numbers = len(np.unique(np.concatenate(numbers)))
    found["week_numbers_ms"] = (time.perf_counter() - started) * 1e3
    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(DISTINCT user_id) FROM event WHERE timestamp >= %s AND timestamp < %s "
            "AND event_type NOT IN ('impression', 'content_upload')",
            [end - timedelta(days=7), end],
        )
        (in_sql,) = cursor.fetchone()
    found["week_sql_ms"] = (time.perf_counter() - started) * 1e3
    if not in_bits == in_numbers == in_sql:
        raise BenchmarkFailedError(f"{in_bits} users by bitmaps, {in_numbers} by numbers, {in_sql} by SQL")
    found["set_bitmap_kb"] = len(bits_of(numbers[0], size)) / 1e3
    found["set_numbers_kb"] = 4 * len(numbers[0]) / 1e3
    return found


def _refreshed(end: datetime) -> dict[str, float]:
    """Seconds until new events of the last hour are in every figure, sessions included."""
    with connection.cursor() as cursor:
        cursor.execute(_APPEND, {"now": end, "since": end - timedelta(hours=1), "until": end, "events": NEW_EVENTS})
        added = cursor.rowcount
    started = time.perf_counter()
    days = rollups.measure_kpis(until=end).days_rebuilt
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    rollups.measure_kpis(until=end)
    return {
        "new_events": added, "refreshed_days": len(days), "refresh_s": seconds,
        "nothing_new_s": time.perf_counter() - started,
    }  # fmt: skip


def _judge(figures: dict[str, float]) -> Result:
    per_s, limit = figures["events_per_s"], figures["read_alone_events_per_s"]
    sql_ms = figures["week_sql_ms"]
    rows = [
        (
            "rebuild everything",
            f"{per_s:,.0f} events/s, {figures['events']:,.0f} in {figures['days']:,.0f} days",
            f"reading alone {limit:,.0f} events/s ({per_s / limit:.0%})",
        ),
        (
            f"{figures['tiles']:.0f} tiles of 30 days, p95",
            f"{figures['tiles_p95_ms']:,.0f} ms, the slowest {figures['slowest_tile_p95_ms']:,.0f} ms",
            "from the rollups, nothing remembered",
        ),
        (
            "distinct users of a week",
            f"{figures['week_bitmaps_ms']:,.1f} ms with reading, {figures['set_bitmap_kb']:,.0f} kB a day",
            f"numbers {figures['week_numbers_ms']:,.1f} ms, {figures['set_numbers_kb']:,.0f} kB; SQL {sql_ms:,.0f} ms",
        ),
        (
            f"refresh after {figures['new_events']:,.0f} events",
            f"{figures['refresh_s']:.2f} s, {figures['refreshed_days']:.0f} days",
            f"with nothing new {figures['nothing_new_s']:.2f} s",
        ),
    ]
    bars = (
        Bar.at_least("kpis: events per second, everything rebuilt", per_s, LEAST_EVENTS_PER_S),
        Bar.at_most("kpis: p95 ms of the slowest tile", figures["slowest_tile_p95_ms"], MOST_TILE_MS),
        Bar.at_most("kpis: seconds of a refresh after 10,000 events", figures["refresh_s"], MOST_REFRESH_S),
    )
    return Result("kpis", figures, ("what", "measured", "limit or peer"), rows, bars)
