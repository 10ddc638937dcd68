"""How fast a live server answers `GET /api/v1/feed`, beside `/livez`, which asks no table and ranks nothing.

The requests come from threads of this process over kept connections, so the client shares the cores with the server;
the peer is measured the same way, right after.
"""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from socket import socket

import numpy as np
from django.utils import timezone
from numpy.typing import NDArray

from events.api_keys import create_key
from events.catalogue import NewContent, register_contents
from events.ingestion import ingest
from recsys.benchmarks.results import Bar, Options, Result

CONTENTS = 4_000
USERS = 500
TOPICS = ("cooking", "travel", "dance", "pets", "science", "comedy", "football", "gardens")
# A page costs retrieval, a model and five queries, a no-op neither: about 20 times it was measured on two cores.
MOST_OVER_NOOP = 60.0
START_LIMIT_S = 60.0


def run(options: Options) -> Result:
    """Fill the scratch database, bring features and a model up, start the web server, ask it."""
    now = timezone.now()
    _fill(now, events=40_000 if options.quick else 120_000)
    _learn(now, train=not options.quick)
    _, secret = create_key("bench")
    asked = 300 if options.quick else 1_500
    paths = [f"/api/v1/feed?user_id=user-{number % USERS}&limit=10" for number in range(asked)]
    headers = {"Authorization": f"Bearer {secret}"}
    with _server() as port:
        _ask(port, paths[:50], headers)
        alone = _ask(port, paths, headers)
        noop = _ask(port, ["/livez"] * asked, {})
        crowd_s, crowd = _ask_together(port, paths, headers, connections=4)
        level = json.loads(_get(http.client.HTTPConnection("127.0.0.1", port), paths[0], headers))["fallback_level"]
    return _judge(alone, noop, crowd, asked / crowd_s, level)


def _judge(
    alone: NDArray[np.float64], noop: NDArray[np.float64], crowd: NDArray[np.float64], per_s: float, level: str
) -> Result:
    p50, p99 = np.percentile(alone, [50, 99])
    noop_p50, noop_p99 = np.percentile(noop, [50, 99])
    crowd_p50, crowd_p99 = np.percentile(crowd, [50, 99])
    figures = {
        "feed_p50_ms": float(p50),
        "feed_p99_ms": float(p99),
        "noop_p50_ms": float(noop_p50),
        "noop_p99_ms": float(noop_p99),
        "feed_over_noop_p50": float(p50 / noop_p50),
        "feed_4_connections_p50_ms": float(crowd_p50),
        "feed_4_connections_p99_ms": float(crowd_p99),
        "feed_4_connections_per_s": per_s,
    }
    rows = [
        (
            f"feed ({level}), 1 connection",
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
            f"at most {MOST_OVER_NOOP:.0f} times the no-op",
        ),
        (
            "no-op, 1 connection",
            f"p50 {noop_p50:.1f} ms, p99 {noop_p99:.1f} ms",
            f"feed is {p50 / noop_p50:.1f} times it",
        ),
        ("feed, 4 connections", f"p50 {crowd_p50:.1f} ms, p99 {crowd_p99:.1f} ms", f"{per_s:,.0f} requests/s"),
    ]
    return Result(
        "feed",
        figures,
        ("what", "measured", "limit or peer"),
        rows,
        (Bar.at_most("feed p50 over no-op p50", float(p50 / noop_p50), MOST_OVER_NOOP),),
    )


def _fill(now: datetime, *, events: int) -> None:
    """A catalogue with topics and users who each watch one of them to the end."""
    rng = np.random.default_rng(7)
    register_contents(
        NewContent(
            f"clip-{number}",
            f"creator-{number % 200}",
            now - timedelta(minutes=int(rng.integers(60, 43_200))),
            {
                "caption": f"{TOPICS[number % len(TOPICS)]} number {number}",
                "tags": [TOPICS[number % len(TOPICS)]],
                "category": TOPICS[number % len(TOPICS)],
            },
            duration_s=20.0,
        )
        for number in range(CONTENTS)
    )
    for _ in range(events // 10_000):
        ingest(_watching(rng, now, 5_000), now=now, source="bench")


def _watching(rng: np.random.Generator, now: datetime, count: int) -> list[dict[str, object]]:
    """`count` impressions of the last ten days, each with its view."""
    made: list[dict[str, object]] = []
    for user, content, at in zip(
        rng.integers(USERS, size=count), rng.integers(CONTENTS, size=count), rng.random(count) * 864_000, strict=True
    ):
        likes_it = user % len(TOPICS) == content % len(TOPICS)
        watched = 20.0 if likes_it else float(rng.exponential(4))
        seen = now - timedelta(seconds=float(at) + 60)
        shared = {"user_id": f"user-{user}", "content_id": f"clip-{content}"}
        left = (seen + timedelta(seconds=watched)).isoformat()
        made.append({"event_id": _uuid(rng), "event_type": "impression", "timestamp": seen.isoformat(), **shared})
        made.append(
            {"event_id": _uuid(rng), "event_type": "view", "timestamp": left, "watch_duration": watched, **shared}
        )
    return made


def _uuid(rng: np.random.Generator) -> str:
    return rng.bytes(16).hex()


def _learn(now: datetime, *, train: bool) -> None:
    """Features, and for the full benchmark a model, so that the whole pipeline is what answers."""
    from features.materialize import materialize  # noqa: PLC0415  heavy, and only this benchmark needs it

    materialize(until=now, refit=True)
    if train:
        from ranking.training import TrainConfig, train_and_promote  # noqa: PLC0415

        print(train_and_promote(TrainConfig(max_examples=30_000), until=now, now=now), file=sys.stderr)  # noqa: T201


@contextmanager
def _server() -> Iterator[int]:
    """The web server as `up` starts it, with one worker, on a free port."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "recsys.wsgi:application"]
    command += [
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--blocking-threads",
        "4",
        "--no-access-log",
    ]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    server = subprocess.Popen(command, env={**os.environ, **threads})
    try:
        _wait(port, server)
        yield port
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            _get(http.client.HTTPConnection("127.0.0.1", port, timeout=5), "/livez", {})
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"the web server did not answer on port {port} within {START_LIMIT_S:.0f} s")


def _get(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> bytes:
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}: {body[:200]!r}")
    return body


def _ask(port: int, paths: list[str], headers: dict[str, str]) -> NDArray[np.float64]:
    """Milliseconds of each request, one after another over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    taken = np.empty(len(paths))
    for number, path in enumerate(paths):
        started = time.perf_counter()
        _get(connection, path, headers)
        taken[number] = (time.perf_counter() - started) * 1000
    connection.close()
    return taken


def _ask_together(
    port: int, paths: list[str], headers: dict[str, str], *, connections: int
) -> tuple[float, NDArray[np.float64]]:
    """Seconds for all requests over several connections at once, and the milliseconds of each."""
    started = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        parts = list(
            pool.map(lambda part: _ask(port, part, headers), [paths[n::connections] for n in range(connections)])
        )
    return time.perf_counter() - started, np.concatenate(parts)
