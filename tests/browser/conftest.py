"""A real Chromium, and a small scripted server that can fail on demand, for tests of the browser client.

The browser lives for one module only: Playwright keeps an event loop running in this thread, and Django refuses
database work of the tests that come later while it does.
"""

import json
import os
import re
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import imageio_ffmpeg
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.player_page import PHONE

STATIC = Path(__file__).resolve().parents[2] / "recsys" / "static"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
CLIENT_HOST = "recsys.test"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    # A name that is not localhost: over plain http the page is no secure context, as on a home network.
    f"--host-resolver-rules=MAP {CLIENT_HOST} 127.0.0.1",
)
CLIENT_PAGE = b"""<!doctype html><title>client</title>
<div id="card"></div>
<script type="module">
import * as client from "/static/recsys/client.js";
Object.assign(window, client, { ready: true });
</script>"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A page gets a second try: its gestures are told apart by the clock, and a busy machine stretches them.

    The summary counts every second try. What must hold for data (chaos, flow, contract) gets none.
    """
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        reason = f"no browser is installed: none of {', '.join(PROGRAMS)} is on the PATH"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def short_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two seconds of a moving test picture, H.264, without sound."""
    path = tmp_path_factory.mktemp("clip") / "short.mp4"
    source = ["-f", "lavfi", "-i", "testsrc=size=90x160:rate=15:duration=2"]
    target = ["-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path)]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *source, *target], check=True)
    return path.read_bytes()


@dataclass(frozen=True)
class Answer:
    """One scripted answer; `page` is the HTML of something between the page and the API."""

    status: int
    code: str = "scripted"
    retry_after: str = ""
    page: str = ""


@dataclass
class Server:
    """What the scripted server was asked, and how it shall answer next.

    Attributes
    ----------
    answers : the next answers to event batches; 202 once the list is used up.
    feed_answers : the same for feeds.
    poison : event ids that spoil their whole batch (answered with 400).
    rejected : event ids that are refused one by one inside a 202.
    token : the only credential it knows.
    pages : how many pages its feed has, of which page n holds c{n}-0, c{n}-1 and so on by the creators k0, k1, k2.
    """

    url: str
    clip: bytes
    answers: list[Answer] = field(default_factory=list)
    feed_answers: list[Answer] = field(default_factory=list)
    poison: set[str] = field(default_factory=set)
    rejected: set[str] = field(default_factory=set)
    token: str = "first-token"
    pages: int = 100
    batches: list[list[dict[str, Any]]] = field(default_factory=list)
    asked_at: list[float] = field(default_factory=list)
    sent_at: list[str] = field(default_factory=list)
    beacons: list[dict[str, Any]] = field(default_factory=list)
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    feeds: list[dict[str, str]] = field(default_factory=list)
    wishes: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, body: dict[str, Any], token: str) -> tuple[Answer, Any]:
        events = body["events"]
        with self.lock:
            self.batches.append(events)
            self.asked_at.append(time.monotonic())
            self.sent_at.append(body["sent_at"])
            answer = self.answers.pop(0) if self.answers else Answer(202)
            if token != self.token:
                answer = Answer(401)
            if self.poison & {event["event_id"] for event in events}:
                answer = Answer(400)
            if answer.status != 202 or answer.page:
                return answer, _error(answer)
            rejected = [place for place, event in enumerate(events) if event["event_id"] in self.rejected]
            for place, event in enumerate(events):
                if place not in rejected:
                    self.stored.setdefault(event["event_id"], event)
            refused = [{"index": i, "code": "bad", "detail": ""} for i in rejected]
            return answer, {"accepted": len(events) - len(rejected), "duplicates": 0, "rejected": refused}

    def feed(self, query: dict[str, str]) -> tuple[Answer, Any]:
        with self.lock:
            self.feeds.append(query)
            answer = self.feed_answers.pop(0) if self.feed_answers else Answer(200)
        if answer.status != 200:
            return answer, _error(answer)
        number = int(query.get("cursor", "0"))
        content = {"category": "", "caption": "", "tags": [], "duration_s": None, "media_url": "/clip.mp4"}
        items = [
            {
                "content_id": f"c{number}-{place}",
                "position": place,
                "content": {**content, "creator_id": f"k{place % 3}"},
            }
            for place in range(int(query["limit"]))
        ]
        cursor = str(number + 1) if number + 1 < self.pages else None
        return answer, {"request_id": str(uuid.UUID(int=number)), "items": items, "next_cursor": cursor}

    def kinds(self) -> list[str]:
        return [event["event_type"] for event in self.stored.values()]


def _error(answer: Answer) -> Any:
    return answer.page or {"error": {"code": answer.code, "message": "", "details": {}}}


@pytest.fixture
def server(short_clip: bytes) -> Iterator[Server]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    httpd.state = Server(f"http://{CLIENT_HOST}:{httpd.server_address[1]}", short_clip)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield httpd.state
    httpd.shutdown()
    httpd.server_close()
    thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path.startswith("/static/"):
            self._answer(Answer(200), (STATIC / url.path.removeprefix("/static/")).read_bytes(), "text/javascript")
        elif url.path == "/clip.mp4":
            self._answer(Answer(200), self.server.state.clip, "video/mp4")
        elif url.path == "/my/token":
            self._json((Answer(200), {"token": self.server.state.token}))
        elif url.path == "/api/v1/feed":
            self._json(self.server.state.feed(dict(parse_qsl(url.query))))
        else:
            self._answer(Answer(200), CLIENT_PAGE, "text/html")

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(raw)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.path.endswith("/beacon"):
            self.server.state.beacons.append({**body, "bytes": len(raw), "type": self.headers["Content-Type"]})
            token = body["token"]
        self._json(self.server.state.take(body, token))

    def do_PUT(self) -> None:
        self.server.state.wishes.append((self.command, self.path))
        self._json((Answer(200), {"active": self.command == "PUT"}))

    def do_DELETE(self) -> None:
        self.do_PUT()

    def _json(self, answered: tuple[Answer, Any]) -> None:
        answer, body = answered
        if isinstance(body, str):
            self._answer(answer, body.encode(), "text/html")
        else:
            self._answer(answer, json.dumps(body).encode(), "application/json")

    def _answer(self, answer: Answer, body: bytes, content_type: str) -> None:
        self.send_response(answer.status)
        if answer.retry_after:
            self.send_header("Retry-After", answer.retry_after)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """The test's own output is enough."""


@pytest.fixture
def client_page(browser: Browser, server: Server) -> Iterator[Page]:
    """A page of the scripted server with the client module's exports as globals."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(server.url)
    page.wait_for_function("window.ready")
    yield page
    context.close()


def keep_feed(page, request):
    """Add the answer to a feed request to `page.feeds`."""
    if "/api/v1/feed" in request.url:
        page.feeds.append(request.response().json())


@pytest.fixture
def open_player(browser, stack):
    """Open the player as a new guest; every complaint of the page's console fails the test at its end.

    `page.feeds` grows by each answer of the feed, decoded.
    """
    contexts, complaints = [], []

    def open_page(path="/", **options):
        context = browser.new_context(**{"viewport": PHONE, "has_touch": True, **options})
        contexts.append(context)
        page = context.new_page()
        page.feeds = []
        page.on("requestfinished", lambda request: keep_feed(page, request))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda entry: complaints.append(entry.text) if entry.type in {"error", "warning"} else None)
        page.goto(stack.base_url + path)
        page.locator(".clip:not([inert])").wait_for()
        return page

    open_page.complaints = complaints
    yield open_page
    for context in contexts:
        context.close()
    assert not complaints


@pytest.fixture
def open_admin(browser, stack):
    """Open a page logged in as admin; whatever the console complains of fails the test."""
    contexts, complaints = [], []
    password = re.search(r"password\s+(\S+)", stack.log.read_text()).group(1)

    def open_page(path, **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.goto(stack.base_url + "/admin/login/")
        page.fill("#id_username", "admin")
        page.fill("#id_password", password)
        page.click("input[type=submit]")
        page.wait_for_url("**/admin/")
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda entry: complaints.append(entry.text) if entry.type in {"error", "warning"} else None)
        page.goto(stack.base_url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not complaints
