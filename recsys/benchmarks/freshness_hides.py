"""Hides, over HTTP, at 4 clients at once: what was hidden is on no answer any more, whatever anybody holds.

Somebody walks two pages and keeps both cursors. A content of the second page is hidden: by a moderator, with the action
of the admin's list of contents; by its user, with an event or at the door for hidden contents. Then the same cursor,
the next page and a new walk are asked for, and for a moderator's hide also the walk of somebody else.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from django.utils import timezone

from recsys.benchmarks.http_api import Api, Staff

CLIENTS: Final = 4
DOORS: Final = ("moderator", "event", "moderator", "preference")


@dataclass(frozen=True, slots=True)
class HideTrial:
    """By which door, and whether the content was gone from every answer, the others still being there."""

    door: str
    gone: bool


def hide_trials(port: int, secret: str, staff: Callable[[], Staff], trials: int) -> list[HideTrial]:
    """So many trials, shared by the clients; `staff` logs a moderator in."""

    def client(number: int) -> list[HideTrial]:
        with closing(Api.on(port, secret)) as api, closing(staff()) as moderator:
            return [_trial(api, moderator, held, at) for at in range(len(range(number, trials, CLIENTS)))]

    held = Held()
    with ThreadPoolExecutor(CLIENTS) as pool:
        return [trial for made in pool.map(client, range(CLIENTS)) for trial in made]


class Held:
    """Contents that some client is hiding: another one that hid and showed it again meanwhile would prove nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._contents: set[str] = set()

    def take(self, choice: Sequence[str]) -> str:
        """The first of the choice that nobody else holds."""
        with self._lock:
            content_id = next(each for each in choice if each not in self._contents)
            self._contents.add(content_id)
        return content_id

    def give_back(self, content_id: str) -> None:
        """Let others have it."""
        with self._lock:
            self._contents.remove(content_id)


def _trial(api: Api, moderator: Staff, held: Held, number: int) -> HideTrial:
    door, user = DOORS[number % len(DOORS)], f"hider-{uuid4()}"
    first = api.feed(user, limit=10)
    second = api.feed(user, limit=10, cursor=first["next_cursor"])
    shown = ids(second)
    start = number % len(shown)
    target = held.take([*shown[start:], *shown[:start]])
    if door == "moderator":
        moderator.moderate(target, "hide")
    elif door == "event":
        api.call("POST", "events", {"events": [hide_event(user, target)]})
    else:
        api.call("PUT", f"users/{user}/hidden/{target}")
    again = ids(api.feed(user, limit=10, cursor=first["next_cursor"]))
    answers = [again, ids(api.feed(user, limit=10, cursor=second["next_cursor"])), ids(api.feed(user, limit=10))]
    if door == "moderator":
        answers += [ids(api.feed(f"witness-{uuid4()}", surface=surface, limit=50)) for surface in ("for_you", "latest")]
        moderator.moderate(target, "make_active")
    held.give_back(target)
    # A page that is not the old one less what was hidden proves nothing; other clients hide meanwhile, too.
    others = [each for each in shown if each != target]
    kept = sum(each in again for each in others)
    return HideTrial(door, not any(target in answer for answer in answers) and len(others) - kept < CLIENTS)


def hide_event(user: str, content_id: str) -> dict[str, Any]:
    """Not interested, as a client sends it."""
    return {
        "event_id": str(uuid4()), "event_type": "hide", "user_id": user, "content_id": content_id,
        "timestamp": timezone.now().isoformat(), "surface": "for_you",
    }  # fmt: skip


def ids(page: dict[str, Any]) -> list[str]:
    """The contents of a page, in order."""
    items: Iterable[dict[str, Any]] = page["items"]
    return [item["content_id"] for item in items]
