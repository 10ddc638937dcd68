"""How soon the running system knows: an event in the next feed, a new content among what is found, a hide everywhere.

Web server, worker and clock run as `up` starts them, on a made-up app (`feed_world`); everything but the moderator's
hand goes over HTTP, and each trial is timed from sending the change to holding the answer that shows it.

- **Event**: somebody without a past likes three clips of a category that their page hardly had; the next page must have
  more of it. Timed: event sent, page received.
- **New content**: registered by the API, one after another, faster than a snapshot is written; then asked for until the
  latest uploads and its own list of similar contents have it.
- **Hide**: four clients with open cursors. A content of a page that was delivered is hidden, by its user or by a
  moderator; the same cursor and the next page must come without it, at once, every time.
"""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import numpy as np
from django.conf import settings
from django.db import connection
from django.utils import timezone

from events.api_keys import create_key
from events.catalogue import set_moderation_state
from recsys.benchmarks import feed, feed_world
from recsys.benchmarks.results import Bar, Options, Result
from recsys.benchmarks.web import web_server
from recsys.embedded.preflight import WebAddress
from recsys.management.commands.up import processes

USUAL: Final = feed_world.Size(contents=20_000, users=5_000, events=300_000)
EVENT_TRIALS, QUICK_EVENT_TRIALS = 200, 40
NEW_TRIALS, QUICK_NEW_TRIALS = 200, 20
HIDE_TRIALS, QUICK_HIDE_TRIALS = 1_000, 80
CLIENTS: Final = 4
MOST_EVENT_MS: Final = 100.0
MOST_NEW_S: Final = 10.0
GAVE_UP_S: Final = 60.0
NEW_EVERY_S: Final = 0.25
LOOK_EVERY_S: Final = 0.2
LIKED: Final = 3


@dataclass(frozen=True, slots=True)
class Api:
    """One client: a kept connection and a key."""

    connection: http.client.HTTPConnection
    secret: str

    @classmethod
    def on(cls, port: int, secret: str) -> "Api":
        """A client of a server on this machine."""
        return cls(http.client.HTTPConnection("127.0.0.1", port, timeout=30), secret)

    def call(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """The answer's JSON; an error for any status but 2xx."""
        text = None if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"}
        asked = f"/api/v1/{path}?{urlencode(query)}" if query else f"/api/v1/{path}"
        self.connection.request(method, asked, body=text, headers=headers)
        answer = self.connection.getresponse()
        content = answer.read()
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"{method} {asked} answered {answer.status}: {content[:200]!r}")
        return json.loads(content) if content else None

    def feed(self, user_id: str, **query: object) -> dict[str, Any]:
        """A page of somebody's feed."""
        return dict(self.call("GET", "feed", user_id=user_id, **query))


def run(options: Options) -> Result:
    """Make the world, start the system, change things."""
    size = feed_world.Size(options.contents or USUAL.contents, USUAL.users, USUAL.events)
    if options.quick:
        size = feed_world.Size(options.contents or 2_000, 500, 40_000)
    feed.prepare(size)
    _, secret = create_key("bench")
    connection.close()
    quick = options.quick
    with web_server() as port, _background():
        api = Api.on(port, secret)
        # Every thread of both workers has its snapshot and its model before anything is timed.
        _together(lambda _: [Api.on(port, secret).feed(f"warm-{uuid4()}") for _ in range(40)], CLIENTS)
        events = [_event_trial(api, trial) for trial in range(QUICK_EVENT_TRIALS if quick else EVENT_TRIALS)]
        hides = _hide_trials(port, secret, QUICK_HIDE_TRIALS if quick else HIDE_TRIALS)
        found = _new_trials(port, secret, QUICK_NEW_TRIALS if quick else NEW_TRIALS)
    return _judge(size, events, hides, found)


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
    """From the event to the next page, and how much of the category was on the pages before and after."""

    seconds: float
    before: int
    after: int


def _event_trial(api: Api, trial: int) -> EventTrial:
    user = f"newcomer-{trial}"
    page = api.feed(user, limit=10)
    categories = [item["content"]["category"] for item in page["items"]]
    name = min(feed_world.TOPICS, key=categories.count)
    listed = api.feed(f"somebody-{trial}", surface="category", categories=name, limit=LIKED)["items"]
    started = time.perf_counter()
    api.call("POST", "events", {"events": [_event(kind, user, item) for item in listed for kind in ("view", "like")]})
    after = api.feed(user, limit=10)
    seconds = time.perf_counter() - started
    return EventTrial(seconds, categories.count(name), _count(after, name))


def _event(kind: str, user: str, item: dict[str, Any]) -> dict[str, Any]:
    watched = {"watch_duration": item["content"]["duration_s"]} if kind == "view" else {}
    return {
        "event_id": str(uuid4()), "event_type": kind, "user_id": user, "content_id": item["content_id"],
        "timestamp": timezone.now().isoformat(), "surface": "for_you", **watched,
    }  # fmt: skip


def _count(page: dict[str, Any], category: str) -> int:
    return sum(1 for item in page["items"] if item["content"]["category"] == category)


@dataclass(frozen=True, slots=True)
class HideTrial:
    """Whether a hidden content was gone from the page that had it, and from the page behind."""

    by_moderator: bool
    gone: bool


def _hide_trials(port: int, secret: str, trials: int) -> list[HideTrial]:
    def client(number: int) -> list[HideTrial]:
        api = Api.on(port, secret)
        try:
            return [_hide_trial(api, number, trial) for trial in range(trials // CLIENTS)]
        finally:
            connection.close()

    return [trial for made in _together(client, CLIENTS) for trial in made]


def _hide_trial(api: Api, client: int, trial: int) -> HideTrial:
    user = f"hider-{client}-{trial // 10}"
    first = api.feed(user, limit=10)
    second = api.feed(user, limit=10, cursor=first["next_cursor"])
    target = second["items"][trial % len(second["items"])]["content_id"]
    by_moderator = trial % 2 == 0
    if by_moderator:
        # What the admin's action calls; from another process than those that serve.
        set_moderation_state(target, status="hidden")
    else:
        api.call("PUT", f"users/{user}/hidden/{target}")
    again = api.feed(user, limit=10, cursor=first["next_cursor"])
    behind = api.feed(user, limit=10, cursor=second["next_cursor"])
    if by_moderator:
        set_moderation_state(target, status="active")
    shown = {item["content_id"] for page in (again, behind) for item in page["items"]}
    # A page that is not the old one less the hidden content proves nothing.
    kept = [item["content_id"] for item in second["items"] if item["content_id"] != target]
    others_gone = len(kept) - len([item for item in again["items"] if item["content_id"] in kept])
    return HideTrial(by_moderator, target not in shown and others_gone <= CLIENTS)


def _new_trials(port: int, secret: str, trials: int) -> dict[str, list[float]]:
    """Seconds until each of the new contents is among the latest, and has similar ones; `GAVE_UP_S` where never."""
    registered: dict[str, float] = {}
    done = threading.Event()

    def uploads() -> None:
        api = Api.on(port, secret)
        for number in range(trials):
            topic = feed_world.TOPICS[number % len(feed_world.TOPICS)]
            name = f"new-{number}"
            caption = f"{topic} {feed_world.word(number % len(feed_world.TOPICS), number % 40)}"
            facts = {"caption": caption, "tags": [topic], "category": topic}
            body = {"creator_id": f"creator-{number}", "metadata": facts, "duration_s": 12.0, "language": "en"}
            started = time.perf_counter()
            api.call("PUT", f"contents/{name}", body)
            registered[name] = started
            time.sleep(NEW_EVERY_S)
        done.set()

    with ThreadPoolExecutor(3) as pool:
        writing = pool.submit(uploads)
        latest = pool.submit(_seen_by, port, secret, registered, done, _latest)
        similar = pool.submit(_seen_by, port, secret, registered, done, _with_similar)
        writing.result()
        return {"latest": latest.result(), "similar": similar.result()}


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


def _with_similar(api: Api, waiting: list[str]) -> set[str]:
    """Which of the ones that wait longest have contents similar to them, by what they are."""
    found = set()
    for name in waiting[:3]:
        answer = api.call("GET", f"contents/{name}/similar", count=5)
        if answer["fallback_level"] == "similar" and answer["items"]:
            found.add(name)
    return found


def _judge(
    size: feed_world.Size, events: list[EventTrial], hides: list[HideTrial], found: dict[str, list[float]]
) -> Result:
    event_ms = np.array([trial.seconds for trial in events]) * 1000.0
    turned = sum(1 for trial in events if trial.after > trial.before)
    gone = sum(1 for trial in hides if trial.gone)
    figures: dict[str, float] = {
        "contents": size.contents,
        "load_average": os.getloadavg()[0],
        "event_to_feed_p50_ms": float(np.quantile(event_ms, 0.5)),
        "event_to_feed_p99_ms": float(np.quantile(event_ms, 0.99)),
        "feeds_turned": turned,
        "event_trials": len(events),
        "hidden_gone": gone,
        "hide_trials": len(hides),
    }
    rows = [
        (
            "event to the next feed",
            f"p50 {figures['event_to_feed_p50_ms']:.1f} ms, p99 {figures['event_to_feed_p99_ms']:.1f} ms",
            f"p99 under {MOST_EVENT_MS:.0f} ms",
        ),
        ("feeds that turned", f"{turned} of {len(events)}", "all"),
        ("hidden on the next answer", f"{gone} of {len(hides)}", "all"),
    ]
    bars = [
        Bar.at_most("p99 ms from event to next feed", figures["event_to_feed_p99_ms"], MOST_EVENT_MS),
        Bar.at_least("share of feeds that turned", turned / len(events), 0.99),
        Bar.at_least("hidden contents gone at once", float(gone), float(len(hides))),
    ]
    for where, seconds in found.items():
        p50, p99 = (float(each) for each in np.quantile(seconds, [0.5, 0.99]))
        figures |= {f"new_in_{where}_p50_s": p50, f"new_in_{where}_p99_s": p99}
        rows.append((f"new content, {where}", f"p50 {p50:.1f} s, p99 {p99:.1f} s", f"p99 under {MOST_NEW_S:.0f} s"))
        bars.append(Bar.at_most(f"p99 s until new content is in {where}", p99, MOST_NEW_S))
    return Result("freshness", figures, ("what", "measured", "limit"), rows, tuple(bars))
