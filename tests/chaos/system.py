"""A running system of a test's own to break: web workers, Celery, PostgreSQL and Valkey below a folder of their own.

It is what `manage.py up` starts, on durable embedded servers that nobody else uses, without the demo data: what a fault
is about is the log, and an empty installation is up within seconds.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from recsys.embedded import addresses
from tests import stack

START_S = 180.0
STOP_S = 40.0
# A loaded machine is slow, and a condition that never comes true is slower.
PATIENCE_S = 90.0
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request was answered; `body` is the decoded JSON, or the bytes of what is none."""

    status: int
    headers: dict[str, str]
    body: Any
    seconds: float


@dataclass(frozen=True, slots=True)
class System:
    """A running system, and the handles by which a test may break it."""

    port: int
    key: str
    pid: int
    var_dir: Path

    @property
    def log(self) -> str:
        """What the system printed so far."""
        return (self.var_dir / "up.log").read_text(errors="replace")

    @property
    def database_url(self) -> str:
        return addresses.load(self.var_dir).database_url

    @property
    def broker_url(self) -> str:
        return addresses.load(self.var_dir).broker_url

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = None, limit_s: float = 60) -> Answer:
        """One JSON request over a connection of its own."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, method=method)
        request.add_header("Authorization", f"Bearer {key or self.key}")
        request.add_header("Content-Type", "application/json")
        started = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=limit_s) as response:
                status, headers, text = response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            status, headers, text = error.code, error.headers, error.read()
        lower = {name.lower(): value for name, value in headers.items()}
        return Answer(status, lower, decoded(text), time.monotonic() - started)

    def query(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Rows of one statement, on a connection of its own."""
        with closing(psycopg2.connect(self.database_url, connect_timeout=5)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql, arguments or None)
                return cursor.fetchall() if cursor.description else []

    def web_workers(self) -> list[int]:
        """Process ids of the web server's workers, oldest first: the children of its master."""
        parents = stack.processes()
        masters = {pid for pid, parent in parents.items() if parent == self.pid and "granian" in stack.command(pid)}
        return sorted((pid for pid, parent in parents.items() if parent in masters), key=_started)

    def postmaster(self) -> int:
        return self._child("postgres")

    def backends(self) -> list[int]:
        """Server processes that work for the application."""
        rows = self.query("SELECT pid FROM pg_stat_activity WHERE application_name = 'recsys'")
        return [pid for (pid,) in rows]

    def broker(self) -> int:
        return self._child("valkey-server")

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a management command in the environment of the system; it may also be down."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=stack.ROOT, env=environment(self.var_dir, self.port),
            check=False, capture_output=True, text=True, timeout=PATIENCE_S * 4, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def run(self, module: str, *arguments: str) -> str:
        """Run a module in the environment of the system; what it printed."""
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.run(
            command, cwd=stack.ROOT, env=environment(self.var_dir, self.port), check=True, stdout=subprocess.PIPE,
            text=True, timeout=PATIENCE_S * 2,
        ).stdout  # fmt: skip

    def _child(self, program: str) -> int:
        found = [
            pid
            for pid, parent in stack.processes().items()
            if parent == self.pid and program in stack.command(pid).split(" ", 1)[0]
        ]
        assert len(found) == 1, f"{len(found)} {program} run"
        return found[0]


def decoded(text: bytes) -> Any:
    """The JSON of a body, or the body."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def environment(var_dir: Path, port: int) -> dict[str, str]:
    """What a process of the system finds in its environment."""
    names = {"DATABASE_URL", "CELERY_BROKER_URL", "RECSYS_EMBEDDED", "DJANGO_SETTINGS_MODULE", "PG_BIN_DIR"}
    inherited = {name: value for name, value in os.environ.items() if name not in names}
    # A busy machine must not decide which stages of a feed a test sees: the budget is not what is tested here.
    inherited["FEED_BUDGET_MS"] = "5000"
    own = {"RECSYS_VAR_DIR": str(var_dir), "WEB_PORT": str(port), "DEMO_DATA": "0", "NO_COLOR": "1"}
    return {**inherited, **own, "OMP_NUM_THREADS": "1"}


@contextmanager
def running(var_dir: Path, *, fresh: bool = True) -> Iterator[System]:
    """Start a system on an empty folder, or on what one left, and stop it again."""
    if fresh:
        stack.forget(var_dir)
    port = stack.free_port()
    with (var_dir / "up.log").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=stack.ROOT,
            env=environment(var_dir, port),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    system = System(port, "", process.pid, var_dir)
    try:
        eventually(lambda: process.poll() is not None or "ready after" in system.log, limit_s=START_S)
        eventually(lambda: process.poll() is not None or "API key" in system.log)
        found = re.search(r"API key +(\S+)", system.log)
        if process.poll() is not None or found is None:
            raise RuntimeError(f"the system did not come up:\n{system.log[-4000:]}")
        yield System(port, found[1], process.pid, var_dir)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def eventually(condition: Callable[[], Any], *, limit_s: float = PATIENCE_S, or_say: Callable[[], Any] = str) -> float:
    """Wait until a condition holds; returns the seconds it took. A system that is just failing means "not yet"."""
    started = time.monotonic()
    while True:
        with suppress(OSError, psycopg2.Error, AssertionError):
            if condition():
                return time.monotonic() - started
        assert time.monotonic() - started < limit_s, f"it did not happen within {limit_s:.0f} s: {or_say()}"
        time.sleep(POLL_S)


def within(seconds: float, condition: Callable[[], Any]) -> bool:
    """Whether a condition comes to hold within some seconds."""
    try:
        eventually(condition, limit_s=seconds)
    except AssertionError:
        return False
    return True


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Let some processes hang meanwhile."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def memory_mb(pid: int, kind: str = "VmRSS") -> float:
    """Resident memory of a process, or with "VmHWM" the most it ever had since `forget_peak`."""
    return int(Path(f"/proc/{pid}/status").read_text().split(f"{kind}:")[1].split()[0]) / 1024


def forget_peak(pid: int) -> None:
    """Let the most memory that a process had be what it has now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def processor_s(pid: int) -> float:
    """Processor time that a process used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _started(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    return 0
