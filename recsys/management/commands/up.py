"""Run everything with one command: servers, tables, demo data, web, worker and clock, until Ctrl-C.

It starts nothing on a machine that lacks something, says what in one sentence, and stops what it started and nothing
else. What each child may do, and what happens when one dies, stands in `recsys.embedded.supervisor`.
"""

import errno
import os
import shutil
import signal
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError, connection
from kombu.exceptions import OperationalError as BrokerError

from recsys.embedded import addresses, preflight, programs
from recsys.embedded.addresses import AddressesError
from recsys.embedded.preflight import PreflightError, WebAddress
from recsys.embedded.process import ServerError
from recsys.embedded.servers import Servers, configure, running
from recsys.embedded.supervisor import Child, ChildGaveUp, Supervisor

TICK_S = 0.25
# How often it looks at the servers and, until ready, at the web server and the model.
LOOK_S = 1.0
PROGRESS_S = 10.0
# The first training takes a minute or two on two cores; after this the demo is better off with its fallback.
TRAIN_PATIENCE_S = 900.0
LIVEZ_LIMIT_S = 2.0
COLOURS = {"web": "36", "work": "35", "beat": "33", "up": "32"}


class Command(BaseCommand):
    """The whole system in the foreground."""

    help = "Run everything: servers, web, worker and clock; with demo data on the first start. Stop with Ctrl-C."

    def handle(self, *_args: Any, **_options: Any) -> None:
        self.stop_requested = False
        self.reload_requested = False
        self.was_full = False
        self.may_interrupt = True
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGUSR1, self._on_reload)
        try:
            self._run(started=time.monotonic())
        except (AddressesError, PreflightError, ServerError, ChildGaveUp) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stop_requested = True
        self._emit("up", "stopped")

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Interrupt the set-up at once; the running system stops at its next tick, between two steps."""
        self.stop_requested = True
        if self.may_interrupt:
            self.may_interrupt = False
            raise KeyboardInterrupt

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self.reload_requested = True

    def _run(self, *, started: float) -> None:
        var_dir: Path = settings.VAR_DIR
        web = preflight.check_web_address(os.environ)
        children = processes(web, var_dir)
        preflight.check_folder(var_dir)
        with running(configure(var_dir, os.environ)) as servers:
            notes = self._prepare(var_dir, servers)
            with ExitStack() as stack:
                supervisor = Supervisor(children, emit=self._emit)
                stack.callback(self._emit, "up", "stopping the servers")
                stack.callback(supervisor.stop)
                self.may_interrupt = False
                stack.callback(self._emit, "up", "stopping beat, worker and web")
                self._watch(supervisor, servers, Readiness(web, notes, started, self._emit))

    def _prepare(self, var_dir: Path, servers: Servers) -> list[str]:
        """Tables, log-ins, key and demo data; returns the lines for the final summary."""
        from events.api_keys import ensure_demo_key  # noqa: PLC0415  needs no tables before this point
        from recsys.accounts import ensure_demo_logins  # noqa: PLC0415

        version = preflight.check_database()
        own = {server.label: server.port for server in servers.members}
        self._emit("up", f"database: PostgreSQL {version}" + _where(own.get("Postgres"), "DATABASE_URL"))
        preflight.check_broker(settings.CELERY_BROKER_URL)
        self._emit("up", "broker answers" + _where(own.get("Valkey"), "CELERY_BROKER_URL"))
        self._emit("up", "bringing the tables up to date")
        call_command("migrate", interactive=False, verbosity=0)
        password = addresses.load(var_dir).demo_password
        logins = ensure_demo_logins(password)
        key = ensure_demo_key(var_dir)
        if settings.DEMO_DATA and not _has_contents():
            self._emit("up", "first start: making demo data")
            call_command("seed_demo", users=settings.DEMO_USERS)
        connection.close()
        people = ", ".join(f"{name} ({role})" for role, name in logins)
        return [f"log in as   {people}", f"password    {password}", f"API key     {key}"]

    def _watch(self, supervisor: Supervisor, servers: Servers, readiness: "Readiness") -> None:
        look_at = 0.0
        while not self.stop_requested:
            supervisor.step(TICK_S)
            if self.reload_requested:
                self.reload_requested = False
                self._reload(supervisor)
            if time.monotonic() < look_at:
                continue
            if self._is_full():
                # Whatever dies now would die again: it is started once there is room, and nothing is given up.
                supervisor.forgive()
                look_at = time.monotonic() + LOOK_S
                continue
            for label in servers.revive():
                self._emit("up", f"the embedded {label} had ended and was started again")
                # A broker keeps nothing: if the training was asked for, that was lost with it.
                readiness.asked_at = None
            readiness.advance()
            look_at = time.monotonic() + LOOK_S

    def _is_full(self) -> bool:
        """Whether the disk of the data is full; said when that begins and ends."""
        full = shutil.disk_usage(settings.VAR_DIR).free < preflight.LEAST_FREE_BYTES
        if full != self.was_full:
            self.was_full = full
            where = f"the disk of {settings.VAR_DIR}"
            self._emit("up", f"{where} is full: make room" if full else f"{where} has room again")
        return full

    def _reload(self, supervisor: Supervisor) -> None:
        """Take up changed code: web workers one after the other, while the others answer; tasks are finished first."""
        self._emit("up", "taking up the code that is there now")
        supervisor.send("web", signal.SIGHUP)
        supervisor.renew("beat")
        supervisor.renew("work")

    def _emit(self, name: str, line: str) -> None:
        prefix = f"{name:<4} |"
        if self.stdout.isatty() and not os.environ.get("NO_COLOR"):
            prefix = f"\033[{COLOURS[name]}m{prefix}\033[0m"
        try:
            self.stdout.write(f"{prefix} {line}")
            self.stdout.flush()
        except OSError as error:
            # The log may lie on the very disk that is full: losing lines is better than ending.
            if error.errno != errno.ENOSPC:
                raise


class Readiness:
    """From "the processes run" to "the feed is ranked": asks without hurry, and sums up once."""

    def __init__(self, web: WebAddress, notes: list[str], started: float, emit: Any) -> None:
        self.web = web
        self.notes = notes
        self.started = started
        self.emit = emit
        self.web_answers = False
        self.asked_at: float | None = None
        self.progress_at = 0.0
        self.done = False

    def advance(self) -> None:
        """Look once, and go on to the next stage if this one is reached."""
        if self.done:
            return
        if not self.web_answers:
            self.web_answers = answers(f"{self.web.url}/livez")
        elif self._look():
            self.done = True
            self._sum_up()

    def _look(self) -> bool:
        """`model_is_there`, where a database or broker that is just restarting means "not yet"."""
        from recsys.celery import app  # noqa: PLC0415  see model_is_there

        broker_errors = app.connection_for_read().recoverable_connection_errors
        away: tuple[type[BaseException], ...] = (DatabaseError, InterfaceError, BrokerError, *broker_errors)
        try:
            return self.model_is_there()
        except away:
            return False
        finally:
            connection.close()

    def model_is_there(self) -> bool:
        """Whether waiting is over: a model serves, none can be trained, or training took too long."""
        from ranking.registry import champion_version  # noqa: PLC0415  loads the model code, not needed to start
        from recsys.celery import app  # noqa: PLC0415

        if champion_version() is not None or not _has_contents():
            return True
        now = time.monotonic()
        if self.asked_at is None:
            if app.control.ping(timeout=0.5):
                # The beat's first tick of this is minutes away, and the boards should not stay empty that long.
                app.send_task("dashboards.tasks.measure_kpis")
                app.send_task("ranking.tasks.train_ranker")
                self.asked_at = now
                self.progress_at = now + PROGRESS_S
                self.emit("up", f"{self.web.url} answers with the fallback feed; training the first model meanwhile")
        elif now > self.asked_at + TRAIN_PATIENCE_S:
            self.notes.append("model       none yet, the feed is served by its fallback; the work log says why")
            return True
        elif now > self.progress_at:
            self.progress_at = now + PROGRESS_S
            self.emit("up", f"training the first model, {now - self.asked_at:.0f} s so far")
        return False

    def _sum_up(self) -> None:
        url = self.web.url
        pages = {"player": "/", "dashboards": "/dashboards/", "admin": "/admin/", "API docs": "/api/docs"}
        lines = [f"{name:<11} {url}{path}" for name, path in pages.items()]
        self.emit("up", f"ready after {time.monotonic() - self.started:.0f} s")
        for line in [*lines, *self.notes, "Stop with Ctrl-C."]:
            self.emit("up", line)


def processes(web: WebAddress, var_dir: Path) -> list[Child]:
    """The children in their order of starting."""
    return [
        child("web", web, var_dir, grace_s=8),
        # A worker whose supervisor is gone gives up its task at once: it was not acknowledged, and comes again.
        child("work", web, var_dir, grace_s=10, orphan_signal=signal.SIGQUIT),
        child("beat", web, var_dir, grace_s=4),
    ]


def child(
    name: str, web: WebAddress, var_dir: Path, *, grace_s: float, orphan_signal: signal.Signals = signal.SIGTERM
) -> Child:
    """One of the programs of this environment as a child."""
    code = programs.code_folder(os.environ, settings.BASE_DIR)
    environ = programs.surroundings(name, os.environ, var_dir=var_dir, folder=code)
    return Child(
        name=name,
        command=programs.command(name, os.environ, var_dir=var_dir, folder=code, web=web),
        environ=environ,
        folder=programs.HOME,
        grace_s=grace_s,
        orphan_signal=orphan_signal,
        before_start=partial(programs.empty, Path(environ["PROMETHEUS_MULTIPROC_DIR"])),
    )


def answers(url: str) -> bool:
    """Whether a web server answers there; a refusal such as 400 is an answer too."""
    try:
        with urllib.request.urlopen(url, timeout=LIVEZ_LIMIT_S):  # noqa: S310  # nosec B310  built from WEB_HOST above
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


def _has_contents() -> bool:
    return bool(apps.get_model("events", "Content").objects.exists())


def _where(port: int | None, variable: str) -> str:
    return f" (embedded, port {port})" if port else f" ({variable})"
