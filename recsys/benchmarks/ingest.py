"""How fast `ingest()` stores events: validated one by one, once each, committed before it answers."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connection

from events.ingestion import ingest
from recsys.benchmarks.copy_limit import copy_seconds
from recsys.benchmarks.results import Bar, Options, Result

NOW = datetime(2026, 11, 23, tzinfo=UTC)
BATCHES = (1_000, 10_000)
# A tenth of what the server can store without any checks would mean that the checks dominate everything.
LEAST_SHARE_OF_COPY = 0.1


def run(options: Options) -> Result:
    """Store the same kind of events in small and in large batches, each beside one COPY of the rows it stored."""
    total = 50_000 if options.quick else 300_000
    figures: dict[str, float] = {}
    rows: list[tuple[str, str, str]] = []
    bars: list[Bar] = []
    rng = np.random.default_rng(7)
    for size in BATCHES:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE event, user_profile")
        batches = [make_events(rng, size) for _ in range(total // size)]
        started = time.perf_counter()
        accepted = sum(ingest(batch, now=NOW, source="bench").accepted for batch in batches)
        seconds = time.perf_counter() - started
        assert accepted == total  # anything else would be the speed of refusing
        per_s = accepted / seconds
        stored, limit_seconds = copy_seconds()
        limit_per_s = stored / limit_seconds
        figures |= {
            f"batch_{size}_events_per_s": per_s,
            f"batch_{size}_copy_events_per_s": limit_per_s,
            f"batch_{size}_share_of_copy": per_s / limit_per_s,
        }
        limit = f"{limit_per_s:,.0f} by one COPY stream ({per_s / limit_per_s:.0%})"
        rows.append((f"events/s, batches of {size:,}", f"{per_s:,.0f}", limit))
        bars.append(Bar.at_least(f"share of COPY, batches of {size:,}", per_s / limit_per_s, LEAST_SHARE_OF_COPY))
    return Result("ingest", figures, ("figure", "measured", "limit"), rows, tuple(bars))


def make_events(rng: np.random.Generator, count: int) -> list[dict[str, Any]]:
    """Events of an app with 20,000 users and 5,000 clips over a day: mostly impressions and views."""
    kinds = rng.choice(["impression", "view", "like", "skip"], size=count, p=[0.5, 0.35, 0.05, 0.1])
    users, contents = rng.integers(20_000, size=count), rng.integers(5_000, size=count)
    seconds, watched = rng.random(count) * 86_400, rng.exponential(9, size=count)
    identities = rng.bytes(16 * count)
    events = []
    for row in range(count):
        event: dict[str, Any] = {
            "event_id": str(UUID(bytes=identities[16 * row : 16 * row + 16], version=4)),
            "event_type": str(kinds[row]),
            "user_id": f"user-{users[row]}",
            "content_id": f"clip-{contents[row]}",
            "timestamp": (NOW - timedelta(seconds=float(seconds[row]))).isoformat(),
            "session_id": f"session-{users[row]}",
            "surface": "for_you",
        }
        if kinds[row] == "view":
            event["watch_duration"] = float(watched[row])
        events.append(event)
    return events
