"""How fast the web server answers `GET /api/v1/feed` with everything on, beside a no-op view at the same concurrency.

A made-up app (`feed_world`; 100,000 contents unless told otherwise), its features and a trained model, and the web
server as `up` starts it, with Postgres and the load on the same machine. Every request is somebody's next page: key
checked, history read, candidates found, ranked, re-ranked, judged by the database, written into the log of what was
served. The load is one thread of a process of its own, over kept connections that change every `PER_CONNECTION`
requests.

Rounds of feed and no-op alternate, so that whatever else the machine does hits both. Stages and statements are counted
by the server itself.
"""

import os
import sys
import time
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from django.db import connection
from django.utils import timezone
from numpy.typing import NDArray

from events.api_keys import create_key
from recsys.benchmarks import event_rows, feed_world, load
from recsys.benchmarks.ingest import send
from recsys.benchmarks.results import Bar, Options, Result
from recsys.benchmarks.web import metrics_folder, web_server
from recsys.benchmarks.web_metrics import Readings
from recsys.benchmarks.web_urls import NOOP

USUAL: Final = feed_world.Size(contents=100_000, users=50_000, events=2_000_000)
QUICK: Final = feed_world.Size(contents=4_000, users=2_000, events=120_000)
LIMIT: Final = 10
ROUNDS: Final = 3
WARM_UP: Final = 400
FEW, MANY = 2, 16
PER_CONNECTION: Final = 20
LEAST_PER_S: Final = 150.0
MOST_MS: Final = {FEW: 50.0, MANY: 250.0}
MOST_QUERIES: Final = 4.0
EXAMPLES: Final = 12_000


@dataclass(slots=True)
class Crowd:
    """What one endpoint came to at one number of requests in flight, over all rounds."""

    answered_ms: list[float] = field(default_factory=list)
    per_s: list[float] = field(default_factory=list)
    shed: int = 0
    errors: int = 0

    def add(self, seconds: float, answers: list[load.Answer]) -> None:
        """Count a round."""
        good = [answer.seconds * 1000.0 for answer in answers if answer.head.startswith(b"HTTP/1.1 200 ")]
        shed = sum(1 for answer in answers if _is_shed(answer))
        self.answered_ms += good
        self.per_s.append(len(good) / seconds)
        self.shed += shed
        self.errors += len(answers) - len(good) - shed

    def quantile(self, share: float) -> float:
        """Milliseconds of the answered requests."""
        return float(np.quantile(self.answered_ms, share)) if self.answered_ms else float("nan")


def run(options: Options) -> Result:
    """Fill the scratch database, bring features and a model up, start the web server, ask it."""
    usual = QUICK if options.quick else USUAL
    size = feed_world.Size(options.contents or usual.contents, usual.users, usual.events)
    return measure(size, prepare(size), requests=400 if options.quick else 1_000)


def prepare(size: feed_world.Size) -> NDArray[np.float64]:
    """The world with features and a model that serves; returns how active each user is."""
    from features.materialize import materialize  # noqa: PLC0415  heavy, and only this needs it
    from ranking.training import TrainConfig, train_and_promote  # noqa: PLC0415

    now, started = timezone.now(), time.perf_counter()
    world = feed_world.fill(size, now=now)
    _say(f"world of {size}", started)
    _say(f"{materialize(until=now, refit=True)}", started)
    _say(f"{train_and_promote(TrainConfig(max_examples=EXAMPLES), until=now, now=now)}", started)
    return world.activity


def measure(size: feed_world.Size, activity: NDArray[np.float64], *, requests: int) -> Result:
    """Rounds of `requests` requests each, against a server on what is prepared."""
    rng = np.random.default_rng(11)
    _, secret = create_key("bench")

    def pages(count: int) -> list[bytes]:
        users = rng.choice(len(activity), count, p=activity).tolist()
        paths = (f"/api/v1/feed?user_id={event_rows.user_id(user)}&limit={LIMIT}" for user in users)
        return [_request(path, secret) for path in paths]

    noop = [_request(NOOP, secret)] * requests
    feeds, noops = {FEW: Crowd(), MANY: Crowd()}, {FEW: Crowd(), MANY: Crowd()}
    with web_server(settings_module="recsys.benchmarks.web_settings") as port:
        send(port, pages(WARM_UP), connections=MANY)
        send(port, noop[:WARM_UP], connections=MANY)
        before = Readings.of(metrics_folder())
        for _ in range(ROUNDS):
            for in_flight in (FEW, MANY):
                kept = {"connections": in_flight, "per_connection": PER_CONNECTION}
                feeds[in_flight].add(*send(port, pages(requests), **kept))
                noops[in_flight].add(*send(port, noop, **kept))
        counted = Readings.of(metrics_folder()).since(before)
    return _judge(size, feeds, noops, counted)


def _request(path: str, secret: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n\r\n".encode()


def _is_shed(answer: load.Answer) -> bool:
    return answer.head.startswith(b"HTTP/1.1 503 ") and b'"overloaded"' in answer.body


def _judge(size: feed_world.Size, feeds: dict[int, Crowd], noops: dict[int, Crowd], counted: Readings) -> Result:
    figures: dict[str, float] = {"contents": size.contents, "load_average": os.getloadavg()[0]}
    rows: list[tuple[str, str, str]] = []
    for in_flight in (FEW, MANY):
        feed, noop = feeds[in_flight], noops[in_flight]
        for name, crowd in (("feed", feed), ("noop", noop)):
            figures |= {
                f"{name}_{in_flight}_per_s": float(np.median(crowd.per_s)),
                f"{name}_{in_flight}_p50_ms": crowd.quantile(0.5),
                f"{name}_{in_flight}_p99_ms": crowd.quantile(0.99),
                f"{name}_{in_flight}_shed": crowd.shed,
                f"{name}_{in_flight}_errors": crowd.errors,
            }
        figures[f"noop_over_feed_{in_flight}_per_s"] = float(np.median(noop.per_s) / np.median(feed.per_s))
        rows.append((f"feed, {in_flight} in flight", _told(feed), f"p99 under {MOST_MS[in_flight]:.0f} ms"))
        rows.append((f"no-op, {in_flight} in flight", _told(noop), "the peer"))
    answered = sum(len(crowd.answered_ms) for crowd in feeds.values())
    figures |= _inside(counted, answered)
    rows += [
        ("levels", ", ".join(f"{name} {share:.1%}" for name, share in _levels(counted).items()), "ranked"),
        ("statements per feed", f"{figures['queries_per_feed']:.2f}", f"at most {MOST_QUERIES:.0f}"),
        *(_stage_row(figures, name.removesuffix("_p50_ms")) for name in figures if name.endswith("_p50_ms")
          and name.startswith(("inside", "stage"))),
    ]  # fmt: skip
    few, many = feeds[FEW], feeds[MANY]
    bars = (
        Bar.at_least(f"feeds per second, {FEW} in flight", figures[f"feed_{FEW}_per_s"], LEAST_PER_S),
        Bar.at_most(f"p99 ms, {FEW} in flight", few.quantile(0.99), MOST_MS[FEW]),
        Bar.at_most(f"errors but shed ones, {MANY} in flight", float(few.errors + many.errors), 0.0),
        Bar.at_most(f"p99 ms of the answered, {MANY} in flight", many.quantile(0.99), MOST_MS[MANY]),
        Bar.at_most("statements per feed", figures["queries_per_feed"], MOST_QUERIES),
        Bar.at_least("share ranked by the model", _levels(counted).get("ranked", 0.0), 0.99),
    )
    return Result("feed", figures, ("what", "measured", "limit or peer"), rows, bars)


def _told(crowd: Crowd) -> str:
    per_s, p50, p99 = float(np.median(crowd.per_s)), crowd.quantile(0.5), crowd.quantile(0.99)
    return f"{per_s:,.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, {crowd.shed} shed, {crowd.errors} errors"


def _stage_row(figures: dict[str, float], stage: str) -> tuple[str, str, str]:
    return stage, f"p50 {figures[f'{stage}_p50_ms']:.2f} ms, p99 {figures[f'{stage}_p99_ms']:.2f} ms", ""


def _levels(counted: Readings) -> dict[str, float]:
    """Share of feeds by the level that ordered them."""
    name = "recsys_feeds_total"
    by_level = {dict(labels)["level"]: value for (known, labels), value in counted.samples.items() if known == name}
    total = max(sum(by_level.values()), 1.0)
    return {level: value / total for level, value in by_level.items() if value}


def _inside(counted: Readings, answered: int) -> dict[str, float]:
    """What the server says of itself: statements per feed, and milliseconds of the whole and of each stage."""
    figures = {"queries_per_feed": counted.total("django_db_execute_total") / max(answered, 1)}
    for share in (50, 99):
        figures[f"inside_p{share}_ms"] = 1000.0 * counted.quantile("recsys_feed_seconds", share / 100)
    for stage in counted.labels("recsys_feed_stage_seconds", "stage"):
        for share in (50, 99):
            seconds = counted.quantile("recsys_feed_stage_seconds", share / 100, stage=stage)
            figures[f"stage_{stage}_p{share}_ms"] = 1000.0 * seconds
    return figures


def _say(text: str, started: float) -> None:
    connection.close()
    print(f"{time.perf_counter() - started:6.1f} s  {text}", file=sys.stderr, flush=True)  # noqa: T201
