"""What the feed pays for reading a user's history from a log of many months, beside a table without partitions."""

import time
from collections.abc import Callable
from datetime import date
from typing import Any, Final

import numpy as np
from django.db import connection

from events import partitions, queries
from recsys.benchmarks.results import Bar, Options, Result

MONTHS: Final = 60
FIRST: Final = date(2022, 1, 1)
LIMIT: Final = 1000
REPEATS: Final = 200
MOST_TIMES_FLAT: Final = 1.5
# Events of each user: how many, and over how many of the last months.
USERS: Final = {"busy": (3_000, 2), "steady": (600, MONTHS), "crowd": (1, MONTHS)}
CROWD: Final = 300_000

_FILL: Final = """
    INSERT INTO event (event_id, event_type, user_id, content_id, "timestamp", received_at, additional_info)
    SELECT gen_random_uuid(), CASE WHEN number %% 100 = 0 THEN 'hide' ELSE 'view' END,
           %(user)s || CASE WHEN %(user)s = 'crowd' THEN number %% 5000 ELSE 0 END, 'c' || number %% 900,
           moment, moment,
           '{"watch_duration": 4.5}'
    FROM (SELECT number, %(from)s::timestamptz + random() * (%(to)s::timestamptz - %(from)s::timestamptz) AS moment
          FROM generate_series(1, %(events)s) AS number) AS made
"""
# How the history was read before there were partitions: one statement, two indexes.
_FLAT: Final = """
    WITH recent AS (
        SELECT * FROM event_flat WHERE user_id = %(user)s AND event_type <> 'content_upload'
        ORDER BY "timestamp" DESC LIMIT %(limit)s
    ), remembered AS (
        SELECT * FROM recent
        UNION ALL
        SELECT * FROM event_flat WHERE user_id = %(user)s AND event_type = ANY('{hide,report,unhide}')
            AND "timestamp" < (SELECT min("timestamp") FROM recent)
    )
    SELECT true, event_id, event_type, content_id, creator_id, date_part('epoch', "timestamp"),
           additional_info->>'watch_duration', additional_info->>'long_view'
    FROM remembered ORDER BY remembered."timestamp", event_id
"""


def run(options: Options) -> Result:
    """Fill sixty months, copy them into one table with the same indexes, read both by turns."""
    _fill(CROWD // 10 if options.quick else CROWD)
    figures: dict[str, float] = {"months": MONTHS}
    rows, bars = [], []
    for user in USERS:
        ours, flat = _by_turns(
            lambda name=f"{user}0": len(queries.recent_history(name, limit=LIMIT)),  # type: ignore[misc]
            lambda name=f"{user}0": _flat(name),  # type: ignore[misc]
        )
        times = ours / flat
        figures |= {f"{user}_ms": ours * 1e3, f"{user}_flat_ms": flat * 1e3, f"{user}_times_flat": times}
        rows.append((f"{user} user", f"{ours * 1e3:.2f} ms", f"{flat * 1e3:.2f} ms on one table: {times:.2f} times"))
        bars.append(Bar.at_most(f"history of a {user} user: times one table", times, MOST_TIMES_FLAT))
    return Result("history", figures, ("history of a", "measured", "peer"), rows, bars)


def _fill(crowd: int) -> None:
    last = partitions.shifted(FIRST, MONTHS)
    partitions.ensure([partitions.shifted(FIRST, number) for number in range(MONTHS)])
    with connection.cursor() as cursor:
        for user, (events, months) in USERS.items():
            start = partitions.shifted(last, -months)
            count = crowd if user == "crowd" else events
            cursor.execute(_FILL, {"user": user, "from": start, "to": last, "events": count})
        cursor.execute("CREATE TABLE event_flat AS SELECT * FROM event")
        cursor.execute('CREATE INDEX ON event_flat (user_id, "timestamp" DESC)')
        cursor.execute("CREATE INDEX ON event_flat (user_id) WHERE event_type IN ('hide', 'report', 'unhide')")
        cursor.execute("VACUUM ANALYZE")


def _flat(user: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_FLAT, {"user": user, "limit": LIMIT})
        return len(queries.history_of(cursor.fetchall()))


def _by_turns(ours: Callable[[], int], flat: Callable[[], int]) -> tuple[float, float]:
    """The median seconds of each; both must find as many events."""
    if ours() != flat():
        raise ValueError(f"the tables do not agree: {ours()} events here, {flat()} there")
    seconds: list[list[float]] = [[], []]
    for _ in range(REPEATS):
        for taken, read in zip(seconds, (ours, flat), strict=True):
            started = time.perf_counter()
            read()
            taken.append(time.perf_counter() - started)
    medians: Any = np.median(seconds, axis=1)
    return float(medians[0]), float(medians[1])
