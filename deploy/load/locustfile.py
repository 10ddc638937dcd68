"""Realistic users: most swipe and watch, some like, few upload, and moderators work through what they report.

    make load                                   a minute against a system of its own
    locust -f deploy/load/locustfile.py --host https://feed.example.com --users 500 --spawn-rate 20 --run-time 10m
        --headless --csv out                    a real run; RECSYS_KEY holds a server key, for the clients' tokens

Clients act as the documented ones do: a token for each user, `event_id` made once and kept for every retry, events in
batches. RECSYS_STAFF, RECSYS_PASSWORD are a moderator's log-in; without them nobody moderates.
"""

import os
import random
import re
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from locust import HttpUser, between, constant, task

KEY = os.environ.get("RECSYS_KEY", "")
STAFF, PASSWORD = os.environ.get("RECSYS_STAFF", ""), os.environ.get("RECSYS_PASSWORD", "")
USERS = int(os.environ.get("RECSYS_LOAD_USERS", "5000"))
PAGE = 10
TOKEN_S = 600
# Hand on a share of real time: sessions of a minute of load are not those of an evening.
WATCH_S = (0.4, 3.0)


class Viewer(HttpUser):
    """Swipes through pages of the feed, and does to each clip what people do to clips."""

    weight = 90
    wait_time = between(0.1, 0.6)

    def on_start(self) -> None:
        """Be some user, and ask the host app for a token."""
        self.name = f"load-{random.randrange(USERS)}"
        self.session = str(uuid.uuid4())
        self.waiting: list[dict[str, Any]] = []
        self.cursor = ""
        self.token_until = 0.0

    @task
    def swipe(self) -> None:
        """One page: each clip is seen, most are skipped soon, some watched to the end."""
        page = self._page()
        for position, item in enumerate(page["items"]):
            self._meet(item, position, page["request_id"])
            time.sleep(random.uniform(*WATCH_S))
            if len(self.waiting) >= PAGE:
                self._send()
        self._send()
        self.cursor = page["next_cursor"] or ""

    def on_stop(self) -> None:
        """The last events of a client that is closed."""
        self._send()

    def _page(self) -> dict[str, Any]:
        more = f"&cursor={self.cursor}" if self.cursor else ""
        with self.client.get(
            f"/api/v1/feed?limit={PAGE}{more}", headers=self._headers(), name="feed", catch_response=True
        ) as answer:
            if answer.status_code == 200:
                answer.success()
                page: dict[str, Any] = answer.json()
                return page
            # Shed on purpose: a client comes again later, as it is told.
            if answer.status_code in {429, 503} and "Retry-After" in answer.headers:
                answer.success()
                time.sleep(int(answer.headers["Retry-After"]))
        return {"items": [], "request_id": None, "next_cursor": None}

    def _meet(self, item: dict[str, Any], position: int, request: str | None) -> None:
        self._add("impression", item, position, request)
        drawn = random.random()
        if drawn < 0.55:
            self._add("skip", item, position, request)
            return
        watched = random.uniform(2, 30)
        self._add("view", item, position, request, watch_duration=round(watched, 1))
        if drawn > 0.85:
            self._add("like", item, position, request)
        if drawn > 0.97:
            self._add("share", item, position, request, platform="link")
        if drawn > 0.995:
            self._add("report", item, position, request, reason="spam")

    def _add(self, kind: str, item: dict[str, Any], position: int, request: str | None, **more: Any) -> None:
        self.waiting.append(
            {
                "event_id": str(uuid.uuid4()), "event_type": kind, "content_id": item["content_id"],
                "timestamp": datetime.now(UTC).isoformat(), "position": position, "request_id": request, **more,
            }
        )  # fmt: skip

    def _send(self) -> None:
        """What is not acknowledged is kept and sent again with the same ids."""
        if not self.waiting:
            return
        body = {"events": self.waiting[:500]}
        with self.client.post(
            "/api/v1/events", json=body, headers=self._headers(), name="events", catch_response=True
        ) as answer:
            if answer.status_code == 202:
                refused = answer.json()["rejected"]
                if refused:
                    answer.failure(f"an event was refused: {refused[0]}")
                else:
                    answer.success()
                del self.waiting[:500]
            elif answer.status_code in {429, 503} and "Retry-After" in answer.headers:
                answer.success()
                time.sleep(int(answer.headers["Retry-After"]))

    def _headers(self) -> dict[str, str]:
        if time.monotonic() > self.token_until:
            body = {"user_id": self.name, "ttl_s": TOKEN_S}
            answer = self.client.post(
                "/api/v1/auth/client-token", json=body, headers={"Authorization": f"Bearer {KEY}"}, name="token"
            )
            self.token = answer.json()["token"] if answer.status_code == 200 else ""
            self.token_until = time.monotonic() + TOKEN_S / 2
        return {"Authorization": f"Bearer {self.token}"}


class Creator(HttpUser):
    """The host app of somebody who uploads a clip now and then, and corrects its caption."""

    weight = 6
    wait_time = between(2, 6)

    @task
    def upload(self) -> None:
        """A new content, and a change of it."""
        name = f"load-{uuid.uuid4()}"
        said = {"caption": f"a clip {name[-6:]}", "category": random.choice(["ocean", "city", "food"])}
        body = {"creator_id": f"maker-{random.randrange(200)}", "duration_s": random.randint(5, 60), "metadata": said}
        headers = {"Authorization": f"Bearer {KEY}"}
        self.client.put(f"/api/v1/contents/{name}", json=body, headers=headers, name="upload")
        change = {"metadata": {"caption": "a better caption"}}
        self.client.patch(f"/api/v1/contents/{name}", json=change, headers=headers, name="correct")


class Moderator(HttpUser):
    """Looks at the queue, as the page does it: logs in once, then refreshes."""

    fixed_count = 1 if STAFF else 0
    weight = 1 if STAFF else 0
    wait_time = constant(3)

    def on_start(self) -> None:
        """Log in with the form, as a browser does."""
        page = self.client.get("/admin/login/", name="log-in page").text
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        form = {"username": STAFF, "password": PASSWORD, "csrfmiddlewaretoken": found[1] if found else "", "next": "/"}
        headers = {"Referer": f"{self.host}/admin/login/"}
        self.client.post("/admin/login/", data=form, headers=headers, name="log in", allow_redirects=False)

    @task
    def moderate(self) -> None:
        """The queue; whoever is sent back to the log-in page is not a moderator."""
        with self.client.get("/moderation/", name="moderation", catch_response=True, allow_redirects=False) as answer:
            if answer.status_code in {301, 302}:
                answer.failure("not logged in")
