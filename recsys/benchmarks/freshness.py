"""How soon the running system knows: an event in the next feed, a new content among what is found, a hide everywhere.

Web server, worker and clock run as `up` starts them, on a made-up app (`feed_world`); everything but the moderator's
hand goes over HTTP, and each trial is timed from sending the change to holding the answer that shows it.

- **Event**: somebody without a past likes three clips of a category that their page hardly had; the next page must have
  more of it. Timed: event sent, page received. Beside it the limit: a row written and read again, and nothing else.
- **New content**: registered by the API, one after another, faster than a snapshot is written; then asked for until the
  latest uploads, those of its category and of its creator, and its own list of similar contents have it. How soon
  somebody was shown it on the usual feed depends on how many upload and how many look; it is printed without a bar.
- **Hide**: see `freshness_hides`.
"""

import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import numpy as np
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone

from events.api_keys import create_key
from recsys.benchmarks import feed, feed_world
from recsys.benchmarks.freshness_hides import CLIENTS, HideTrial, hide_trials
from recsys.benchmarks.http_api import Api, Staff
from recsys.benchmarks.results import Bar, Options, Result
from recsys.benchmarks.web import web_server
from recsys.embedded.preflight import WebAddress
from recsys.management.commands.up import processes

USUAL: Final = feed_world.Size(contents=20_000, users=5_000, events=300_000)
EVENT_TRIALS, QUICK_EVENT_TRIALS = 200, 40
NEW_TRIALS, QUICK_NEW_TRIALS = 200, 20
HIDE_TRIALS, QUICK_HIDE_TRIALS = 1_000, 80
MOST_EVENT_MS: Final = 100.0
MOST_NEW_S: Final = 10.0
GAVE_UP_S: Final = 60.0
NEW_EVERY_S: Final = 0.25
LOOK_EVERY_S: Final = 0.2
LIKED: Final = 3
MOST_ASKED: Final = 3
"""Contents that are asked for one by one in one look."""


def run(options: Options) -> Result:
    """Make the world, start the system, change things."""
    size = feed_world.Size(options.contents or USUAL.contents, USUAL.users, USUAL.events)
    if options.quick:
        size = feed_world.Size(options.contents or 2_000, 500, 40_000)
    feed.prepare(size)
    return measure(size, quick=options.quick)


def measure(size: feed_world.Size, *, quick: bool) -> Result:
    """Start the system on what is prepared, and change things."""
    _, secret = create_key("bench")
    password = secrets.token_urlsafe(24)
    get_user_model().objects.create_superuser("moderator", "", password)
    connection.close()
    with web_server() as port, _background():
        api = Api.on(port, secret)
        # Every thread of both workers has its snapshot and its model before anything is timed.
        _together(lambda _: [Api.on(port, secret).feed(f"warm-{uuid4()}") for _ in range(40)], CLIENTS)
        events = [_event_trial(api, trial) for trial in range(QUICK_EVENT_TRIALS if quick else EVENT_TRIALS)]
        bare = _round_trips(len(events))
        hides = hide_trials(
            port, secret, lambda: Staff(port, "moderator", password), QUICK_HIDE_TRIALS if quick else HIDE_TRIALS
        )
        found = _new_trials(port, secret, QUICK_NEW_TRIALS if quick else NEW_TRIALS)
    return _judge(size, events, bare, hides, found)


@contextmanager
def _background() -> Iterator[None]:
    """Worker and clock as `up` starts them, with tasks of their own: another system may use the same broker."""
    broker = settings.CELERY_BROKER_URL
    if broker.startswith("redis"):
        broker = urlsplit(broker)._replace(path="/15").geturl()
    with ExitStack() as stack:
        for each in processes(WebAddress("127.0.0.1", 0), settings.VAR_DIR)[1:]:
            each.before_start()
            environ = {**each.environ, "CELERY_BROKER_URL": broker}
            started = subprocess.Popen(each.command, cwd=each.folder, env=environ, stdout=sys.stderr)
            stack.callback(_end, started, each.grace_s)
        yield


def _end(process: "subprocess.Popen[bytes]", grace_s: float) -> None:
    process.terminate()
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _together(work: Callable[[int], list[Any]], clients: int) -> list[list[Any]]:
    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(work, range(clients)))


@dataclass(frozen=True, slots=True)
class EventTrial:
    """Seconds of sending the events and of the page after, and how much of the category was on the pages around."""

    sent_s: float
    page_s: float
    before: int
    after: int

    @property
    def seconds(self) -> float:
        """Of both."""
        return self.sent_s + self.page_s


def _event_trial(api: Api, trial: int) -> EventTrial:
    user = f"newcomer-{trial}"
    page = api.feed(user, limit=10)
    categories = [item["content"]["category"] for item in page["items"]]
    name = min(feed_world.TOPICS, key=categories.count)
    listed = api.feed(f"somebody-{trial}", surface="category", categories=name, limit=LIKED)["items"]
    started = time.perf_counter()
    api.call("POST", "events", {"events": [_event(kind, user, item) for item in listed for kind in ("view", "like")]})
    sent = time.perf_counter()
    after = api.feed(user, limit=10)
    received = time.perf_counter()
    return EventTrial(sent - started, received - sent, categories.count(name), _count(after, name))


def _event(kind: str, user: str, item: dict[str, Any]) -> dict[str, Any]:
    watched = {"watch_duration": item["content"]["duration_s"]} if kind == "view" else {}
    return {
        "event_id": str(uuid4()), "event_type": kind, "user_id": user, "content_id": item["content_id"],
        "timestamp": timezone.now().isoformat(), "surface": "for_you", **watched,
    }  # fmt: skip


def _count(page: dict[str, Any], category: str) -> int:
    return sum(1 for item in page["items"] if item["content"]["category"] == category)


def _round_trips(trials: int) -> list[float]:
    """Seconds to commit a row and to read it again: what no way from an event to a page can do without."""
    taken = []
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE round_trip (id bigint PRIMARY KEY, body text NOT NULL)")
        for trial in range(trials):
            started = time.perf_counter()
            cursor.execute("INSERT INTO round_trip VALUES (%s, %s)", [trial, "x" * 400])
            cursor.execute("SELECT body FROM round_trip WHERE id = %s", [trial])
            cursor.fetchall()
            taken.append(time.perf_counter() - started)
        cursor.execute("DROP TABLE round_trip")
    connection.close()
    return taken


def _new_trials(port: int, secret: str, trials: int) -> dict[str, list[float]]:
    """Seconds until each of the new contents is among the latest, and has similar ones; `GAVE_UP_S` where never."""
    registered: dict[str, float] = {}
    done = threading.Event()

    def uploads() -> None:
        api = Api.on(port, secret)
        for number in range(trials):
            name = f"new-{number}"
            topic = _topic(name)
            caption = f"{topic} {feed_world.word(number % len(feed_world.TOPICS), number % 40)}"
            facts = {"caption": caption, "tags": [topic], "category": topic}
            body = {"creator_id": _creator(name), "metadata": facts, "duration_s": 12.0, "language": "en"}
            started = time.perf_counter()
            api.call("PUT", f"contents/{name}", body)
            registered[name] = started
            time.sleep(NEW_EVERY_S)
        done.set()

    looks = {"latest": _latest, "for_you": _for_you, "category": _in_category, "creator": _of_creator,
             "similar": _with_similar}  # fmt: skip
    with ThreadPoolExecutor(1 + len(looks)) as pool:
        writing = pool.submit(uploads)
        seen = {name: pool.submit(_seen_by, port, secret, registered, done, look) for name, look in looks.items()}
        writing.result()
        return {name: each.result() for name, each in seen.items()}


def _topic(name: str) -> str:
    return feed_world.TOPICS[int(name.rpartition("-")[2]) % len(feed_world.TOPICS)]


def _creator(name: str) -> str:
    """Every other one has a creator whom nobody knew."""
    number = int(name.rpartition("-")[2])
    return f"creator-{number}" if number % 2 else f"new-creator-{number}"


def _seen_by(
    port: int,
    secret: str,
    registered: dict[str, float],
    done: threading.Event,
    look: Callable[[Api, list[str]], set[str]],
) -> list[float]:
    """Seconds from the registration of each content until `look` finds it."""
    api = Api.on(port, secret)
    taken: dict[str, float] = {}
    while not (done.is_set() and len(taken) == len(registered)):
        waiting = [name for name in list(registered) if name not in taken]
        found = look(api, waiting) if waiting else set()
        now = time.perf_counter()
        for name in waiting:
            if name in found or now - registered[name] > GAVE_UP_S:
                taken[name] = min(now - registered[name], GAVE_UP_S)
        time.sleep(LOOK_EVERY_S)
    return list(taken.values())


def _latest(api: Api, waiting: list[str]) -> set[str]:
    """Which of the waiting ones are among the fifty latest of somebody who has seen nothing yet."""
    page = api.feed(f"looker-{uuid4()}", surface="latest", limit=50)
    return {item["content_id"] for item in page["items"]} & set(waiting)


def _for_you(api: Api, waiting: list[str]) -> set[str]:
    """Which of the waiting ones somebody is shown who has seen nothing yet."""
    return {item["content_id"] for item in api.feed(f"looker-{uuid4()}", limit=50)["items"]} & set(waiting)


def _in_category(api: Api, waiting: list[str]) -> set[str]:
    """Which of the ones that wait longest are among the latest of their category."""
    found = set()
    for name in waiting[:MOST_ASKED]:
        page = api.feed(f"looker-{uuid4()}", surface="latest", categories=_topic(name), limit=50)
        found |= {item["content_id"] for item in page["items"]} & set(waiting)
    return found


def _of_creator(api: Api, waiting: list[str]) -> set[str]:
    """Which of the ones that wait longest are on the page of their creator."""
    found = set()
    for name in waiting[:MOST_ASKED]:
        page = api.feed(f"looker-{uuid4()}", surface="creator", creator_id=_creator(name), limit=50)
        found |= {item["content_id"] for item in page["items"]}
    return found & set(waiting)


def _with_similar(api: Api, waiting: list[str]) -> set[str]:
    """Which of the ones that wait longest have contents similar to them, by what they are."""
    found = set()
    for name in waiting[:MOST_ASKED]:
        answer = api.call("GET", f"contents/{name}/similar", count=5)
        if answer["fallback_level"] == "similar" and answer["items"]:
            found.add(name)
    return found


def _judge(
    size: feed_world.Size,
    events: list[EventTrial],
    bare: list[float],
    hides: list[HideTrial],
    found: dict[str, list[float]],
) -> Result:
    sums, sent, page, row = (
        1000.0 * np.array(seconds)
        for seconds in (
            [each.seconds for each in events], [each.sent_s for each in events], [each.page_s for each in events], bare,
        )
    )  # fmt: skip
    turned = sum(1 for trial in events if trial.after > trial.before)
    figures: dict[str, float] = {"contents": size.contents, "load_average": os.getloadavg()[0]}
    rows = []
    timed = {"event_to_feed": sums, "event_sent": sent, "feed_after": page, "row_written_and_read": row}
    for name, taken in timed.items():
        p50, p99 = (float(each) for each in np.quantile(taken, [0.5, 0.99]))
        figures |= {f"{name}_p50_ms": p50, f"{name}_p99_ms": p99}
        limit = {"event_to_feed": f"p99 under {MOST_EVENT_MS:.0f} ms", "row_written_and_read": "the limit"}
        rows.append((name.replace("_", " "), f"p50 {p50:.1f} ms, p99 {p99:.1f} ms", limit.get(name, "")))
    figures |= {"feeds_turned": turned, "event_trials": len(events), "hide_trials": len(hides)}
    figures["event_to_feed_over_row"] = figures["event_to_feed_p50_ms"] / figures["row_written_and_read_p50_ms"]
    rows.append(("feeds that turned", f"{turned} of {len(events)}", "all"))
    bars = [
        Bar.at_most("p99 ms from event to next feed", figures["event_to_feed_p99_ms"], MOST_EVENT_MS),
        Bar.at_least("share of feeds that turned", turned / len(events), 0.99),
    ]
    for door in sorted({trial.door for trial in hides}):
        gone = [trial.gone for trial in hides if trial.door == door]
        figures[f"hidden_gone_{door}"] = sum(gone)
        rows.append((f"hidden by {door}, gone at once", f"{sum(gone)} of {len(gone)}", "all"))
    gone_at_once = float(sum(trial.gone for trial in hides))
    bars.append(Bar.at_least("hidden contents gone at once", gone_at_once, float(len(hides))))
    for where, seconds in found.items():
        p50, p99 = (float(each) for each in np.quantile(seconds, [0.5, 0.99]))
        figures |= {f"new_in_{where}_p50_s": p50, f"new_in_{where}_p99_s": p99}
        has_bar = where != "for_you"
        limit_s = f"p99 under {MOST_NEW_S:.0f} s" if has_bar else f"shown to somebody, {GAVE_UP_S:.0f} s: not yet"
        rows.append((f"new content, {where}", f"p50 {p50:.1f} s, p99 {p99:.1f} s", limit_s))
        if has_bar:
            bars.append(Bar.at_most(f"p99 s until new content is in {where}", p99, MOST_NEW_S))
    return Result("freshness", figures, ("what", "measured", "limit"), rows, tuple(bars))
