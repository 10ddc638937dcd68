"""The whole running system as a fixture: `manage.py up` in a process of its own, on its own data and ports.

Tests that promise something about the live system (closed loop, browser, what the web process imports) run against
this, never against stand-ins. It uses the embedded default below `var/test-stack` unless `DATABASE_URL` is set; then
it makes itself a database of its own on that server.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg2

from recsys.demo import clips

ROOT = Path(__file__).resolve().parent.parent
# A quarter of the demo's people: what is promised of the running system holds in it as well, and it trains in a third
# of the time.
DEMO_USERS = 500
# Generous: how busy the machine is must not decide a test.
READY_S = 1_200.0


@dataclass(frozen=True, slots=True)
class Stack:
    """A running system: where it answers, the key that may act for anybody, and its log."""

    base_url: str
    server_key: str
    pid: int
    log: Path

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> tuple[int, Any]:
        """One JSON request; returns the status and the decoded answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base_url + path, data=data, method=method)
        request.add_header("Authorization", f"Bearer {key or self.server_key}")
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def feed(self, user_id: str, *, limit: int = 10) -> dict[str, Any]:
        status, page = self.call("GET", f"/api/v1/feed?user_id={user_id}&limit={limit}")
        assert status == 200, page
        return page

    def web_workers(self) -> list[int]:
        """Process ids of the web server's workers: they hold the application, their parent does not."""
        parents = processes()
        web = [pid for pid in parents if "granian" in command(pid) and _descends(pid, self.pid, parents)]
        return [pid for pid in parents if "onnxruntime" in _maps(pid) and any(_descends(pid, w, parents) for w in web)]


def processes() -> dict[int, int]:
    """Every process of this machine and its parent."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):  # it may end while it is being read
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
    return parents


def command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def _maps(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/maps").read_text()
    return ""


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid > 1:
        if pid == ancestor:
            return True
        pid = parents.get(pid, 0)
    return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _own_database(url: str) -> str:
    """A fresh database named `recsys_stack` on the given server."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS recsys_stack WITH (FORCE)")
        cursor.execute("CREATE DATABASE recsys_stack")
    connection.close()
    return urlunsplit(urlsplit(url)._replace(path="/recsys_stack"))


def _environment(var_dir: Path, port: int) -> dict[str, str]:
    env = {**os.environ, "RECSYS_VAR_DIR": str(var_dir), "WEB_PORT": str(port), "DEMO_PLAYER": "1", "NO_COLOR": "1"}
    # A busy machine must not decide which stages of a feed a test sees.
    env["FEED_BUDGET_MS"] = "5000"
    env["DEMO_USERS"] = str(DEMO_USERS)
    # Nor how long the first model takes beside whatever else runs.
    env["TASK_NICENESS"] = "0"
    env.pop("DJANGO_SETTINGS_MODULE", None)
    if os.environ.get("TEST_SERVERS") == "real":
        env["DATABASE_URL"] = _own_database(os.environ["DATABASE_URL"])
    else:
        for name in ("DATABASE_URL", "CELERY_BROKER_URL", "RECSYS_EMBEDDED"):
            env.pop(name, None)
    return env


def _answers(base_url: str, key: str) -> bool:
    """True once a ranked page comes: the model is trained and served."""
    request = urllib.request.Request(f"{base_url}/api/v1/feed?user_id=probe&limit=1")
    request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return bool(json.load(response)["fallback_level"] == "ranked")
    except (OSError, ValueError):
        return False


def forget(var_dir: Path) -> None:
    """Remove what an earlier run left."""
    var_dir.mkdir(parents=True, exist_ok=True)
    for entry in var_dir.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.is_file():
            entry.unlink()


def lend_clips(var_dir: Path) -> None:
    """Give a system the demo clips as links to one set per checkout.

    They are the same every time and take a minute of both cores to draw, and runs beside each other need them at once:
    the first draws, the others wait for it.
    """
    drawn = ROOT / "var" / "test-clips"
    drawn.mkdir(parents=True, exist_ok=True)
    with drawn.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        clips.build(drawn, chosen=clips.specs())
    lent = var_dir / "public" / "media" / "demo"
    lent.mkdir(parents=True, exist_ok=True)
    for file in drawn.iterdir():
        (lent / file.name).hardlink_to(file)


@contextmanager
def running_stack(var_dir: Path) -> Iterator[Stack]:
    """Start the system, wait until it serves ranked feeds, and stop it again."""
    forget(var_dir)
    lend_clips(var_dir)
    log, port = var_dir / "up.log", free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=_environment(var_dir, port),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    base_url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + READY_S
        key = ""
        while not (key and _answers(base_url, key)):
            text = log.read_text(errors="replace")
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the system did not come up:\n{text[-4000:]}")
            found = re.search(r"sk_[A-Za-z0-9_-]{43,}", text)
            key = found.group() if found else ""
            time.sleep(0.5)
        yield Stack(base_url, key, process.pid, log)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
