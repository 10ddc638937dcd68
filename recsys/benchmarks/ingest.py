"""How fast a live server takes events in over HTTP: checked one by one, stored once each, committed before it answers.

Batches beside one COPY stream of the rows they stored, measured right after each of them; single events beside their
bar. Every answer is read and every row counted afterwards: an error, a lost or a doubled event breaks a bar.

Rate limits are on as they are by default, and their cost is in the figures: each round is sent with a server key of its
own, whose bucket holds it, and the broker is asked whether that bucket was drawn on.
"""

import json
import secrets
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final
from uuid import UUID

import numpy as np
import redis
from django.conf import settings
from django.db import connection
from django.utils import timezone

from events.api_keys import create_key
from recsys.benchmarks import load
from recsys.benchmarks.copy_limit import copy_seconds
from recsys.benchmarks.results import Bar, Options, Result
from recsys.benchmarks.web import web_server

NOW: Final = datetime(2026, 11, 23, tzinfo=UTC)
USERS: Final = 20_000
ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of load: events in a request, connections, requests of a round, and the bar it must reach.

    `share` is a share of the COPY rate, `per_s` a number of requests per second.
    """

    size: int
    connections: int
    requests: int
    quick_requests: int
    share: float | None = None
    per_s: float | None = None

    @property
    def name(self) -> str:
        return f"batch_{self.size}" if self.size > 1 else "single"


LOADS: Final = (
    Load(1_000, 4, 80, 30, share=0.35),
    Load(100, 8, 400, 150, share=0.18),
    Load(1, 32, 10_000, 3_000, per_s=1_500.0),
)


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of a load came to; `copy_per_s` is the limit in events per second.

    `unlimited` is 1 where the rate limits did not see its requests.
    """

    per_s: float
    copy_per_s: float
    latencies_ms: list[float]
    errors: int
    lost: int
    doubled: int
    unlimited: int


def run(options: Options) -> Result:
    """Rounds of each load against one web server, the log emptied before each."""
    with connection.cursor() as cursor:
        # Keys are numbered from 1 everywhere, and a broker that others use may hold buckets under such names.
        cursor.execute("SELECT setval(pg_get_serial_sequence('api_key', 'id'), %s)", [secrets.randbelow(1 << 40) + 1])
    rng = np.random.default_rng(7)
    rounds: dict[str, list[Round]] = {}
    with web_server() as port:
        _, secret = create_key("warm-up")
        send(port, [request_of(make_events(rng, 1, timezone.now()), secret) for _ in range(200)], connections=32)
        for kind in LOADS:
            count = kind.quick_requests if options.quick else kind.requests
            rounds[kind.name] = [_round(port, rng, kind, count) for _ in range(ROUNDS)]
    return _judge(rounds)


def _round(port: int, rng: np.random.Generator, kind: Load, count: int) -> Round:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE event, event_dedup")
    key_id, secret = create_key(kind.name)
    now = timezone.now()
    batches = [make_events(rng, kind.size, now) for _ in range(count)]
    seconds, answers = send(port, [request_of(batch, secret) for batch in batches], connections=kind.connections)
    unlimited = not redis.Redis.from_url(settings.CELERY_BROKER_URL).exists(f"recsys:limit:server:{key_id}")
    errors = sum(1 for answer in answers if not answer.head.startswith(b"HTTP/1.1 202 "))
    accepted = sum(json.loads(answer.body)["accepted"] for answer in answers if answer.head.startswith(b"HTTP/1.1 202"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), count(DISTINCT event_id) FROM event")
        stored, distinct = cursor.fetchone()
    copied, copy_s = copy_seconds() if stored else (0, 1.0)
    return Round(
        accepted / kind.size / seconds,
        copied / copy_s,
        [answer.seconds * 1000 for answer in answers],
        errors,
        max(kind.size * count, accepted) - distinct,
        stored - distinct,
        int(unlimited),
    )


def _judge(rounds: dict[str, list[Round]]) -> Result:
    figures: dict[str, float] = {}
    rows: list[tuple[str, str, str]] = []
    bars: list[Bar] = []
    for kind in LOADS:
        ran = rounds[kind.name]
        per_s = median(one.per_s for one in ran)
        copy_per_s = median(one.copy_per_s for one in ran)
        share = median(one.per_s * kind.size / one.copy_per_s if one.copy_per_s else 0.0 for one in ran)
        p50, p99 = np.percentile(np.concatenate([one.latencies_ms for one in ran]), [50, 99])
        figures |= {
            f"{kind.name}_requests_per_s": per_s,
            f"{kind.name}_events_per_s": per_s * kind.size,
            f"{kind.name}_copy_events_per_s": copy_per_s,
            f"{kind.name}_share_of_copy": share,
            f"{kind.name}_p50_ms": float(p50),
            f"{kind.name}_p99_ms": float(p99),
        }
        what = f"batches of {kind.size:,}" if kind.size > 1 else "single events"
        limit = f"{copy_per_s:,.0f} events/s by one COPY stream ({share:.0%})"
        speed = f"{per_s * kind.size:,.0f} events/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms"
        rows.append((f"{what}, {kind.connections} connections", speed, limit))
        if kind.share is not None:
            bars.append(Bar.at_least(f"share of COPY, {what}", share, kind.share))
        if kind.per_s is not None:
            bars.append(Bar.at_least("single events, requests per second", per_s, kind.per_s))
    everything = [one for ran in rounds.values() for one in ran]
    for name in ("errors", "lost", "doubled", "unlimited"):
        total = sum(getattr(one, name) for one in everything)
        figures[name] = total
        bars.append(Bar.at_most(name, total, 0))
    return Result("ingest", figures, ("load", "measured", "limit"), rows, tuple(bars))


def send(
    port: int, requests: list[bytes], *, connections: int, per_connection: int = 0
) -> tuple[float, list[load.Answer]]:
    """Send requests from a process of their own, see `load`; returns the seconds and the answers."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "requests", Path(folder) / "answers"
        load.write_parts(source, ((0.0, request) for request in requests))
        command = [sys.executable, "-m", "recsys.benchmarks.load", str(port), str(connections), str(per_connection)]
        subprocess.run([*command, str(source), str(target)], check=True)
        (seconds, _), *parts = load.read_parts(target)
    answers = []
    for taken, text in parts:
        head, _, body = text.partition(b"\r\n\r\n")
        answers.append(load.Answer(taken, head, body))
    return seconds, answers


def request_of(events: list[dict[str, Any]], secret: str) -> bytes:
    """A whole HTTP request with a batch of events."""
    body = json.dumps({"events": events}).encode()
    head = (
        "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {secret}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def make_events(rng: np.random.Generator, count: int, now: datetime = NOW) -> list[dict[str, Any]]:
    """Events of an app with 20,000 users and 5,000 clips over the last day: mostly impressions and views."""
    kinds = rng.choice(["impression", "view", "like", "skip"], size=count, p=[0.5, 0.35, 0.05, 0.1])
    users, contents = rng.integers(USERS, size=count), rng.integers(5_000, size=count)
    seconds, watched = rng.random(count) * 86_400, rng.exponential(9, size=count)
    identities = rng.bytes(16 * count)
    events = []
    for row in range(count):
        event: dict[str, Any] = {
            "event_id": str(UUID(bytes=identities[16 * row : 16 * row + 16], version=4)),
            "event_type": str(kinds[row]),
            "user_id": f"user-{users[row]}",
            "content_id": f"clip-{contents[row]}",
            "timestamp": (now - timedelta(seconds=float(seconds[row]))).isoformat(),
            "session_id": f"session-{users[row]}",
            "surface": "for_you",
        }
        if kinds[row] == "view":
            event["watch_duration"] = float(watched[row])
        events.append(event)
    return events
