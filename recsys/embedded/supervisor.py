"""Keep a few child processes running, show what they print, and end them in order.

One loop without threads: Linux ties a child's death signal to the thread that started the child, and a fork next to
running threads may inherit their locks. Each child leads a process group of its own, so that Ctrl-C reaches only the
supervisor, which then ends the children one after the other, each with everything it started.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from recsys.embedded.process import die_with_parent, kill_group

# A child that dies more often than this within the window will not come up by trying again.
MAX_DEATHS = 5
DEATH_WINDOW_S = 60.0
FIRST_BACKOFF_S = 0.5
KEPT_LINES = 20
READ_BYTES = 65_536

Emit = Callable[[str, str], None]


class ChildGaveUp(RuntimeError):
    """A child keeps dying; the message says which one and ends with its last lines."""


@dataclass(frozen=True, slots=True)
class Child:
    """What to run and how to end it.

    `stop_signal` asks for an orderly end within `grace_s`; `orphan_signal` is what it gets if the supervisor is gone,
    and should end it at once, because nobody will insist.
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    folder: Path
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 10.0
    before_start: Callable[[], None] = field(default=lambda: None)


class _Running:
    """One child over its lives: its process, the unfinished line it printed, its recent deaths."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.process: subprocess.Popen[bytes] | None = None
        self.partial = b""
        self.last_lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.deaths: deque[float] = deque()
        self.start_at = 0.0


class Supervisor:
    """Starts `children` in order at the first `step`, and stops them in the reverse order.

    `emit(name, line)` shows one line a child printed, or one about it.
    """

    def __init__(self, children: Iterable[Child], *, emit: Emit) -> None:
        self._running = [_Running(child) for child in children]
        self._emit = emit
        self._selector = selectors.DefaultSelector()

    def pids(self) -> dict[str, int]:
        """The process id of every child that runs."""
        return {one.child.name: one.process.pid for one in self._running if one.process is not None}

    def step(self, wait_s: float) -> None:
        """Start what is due, show what was printed within `wait_s`, notice deaths; raises `ChildGaveUp`."""
        now = time.monotonic()
        for one in self._running:
            if one.process is None and now >= one.start_at:
                self._start(one)
        self._pump(wait_s)
        for one in self._running:
            if one.process is not None and one.process.poll() is not None:
                self._bury(one, time.monotonic())

    def stop(self) -> None:
        """End all children, the last one first. Each has its grace; whatever is left of its group is killed."""
        for one in reversed(self._running):
            self._stop(one)
        self._selector.close()

    def send(self, name: str, number: signal.Signals) -> None:
        """Signal a child that runs."""
        for one in self._running:
            if one.child.name == name and one.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    one.process.send_signal(number)

    def forgive(self) -> None:
        """Forget the deaths so far: there is a reason for them that will pass."""
        for one in self._running:
            one.deaths.clear()

    def renew(self, name: str) -> None:
        """End a child in its grace; the next step starts it again, and no death is counted."""
        for one in self._running:
            if one.child.name == name:
                self._stop(one)
                one.start_at = 0.0

    def _stop(self, one: _Running) -> None:
        process = one.process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(one.child.stop_signal)
        deadline = time.monotonic() + one.child.grace_s
        while process.poll() is None and time.monotonic() < deadline:
            self._pump(0.05)
        if process.poll() is None:
            self._emit(one.child.name, f"did not end within {one.child.grace_s:.0f} s and is killed")
        self._end(one)

    def _start(self, one: _Running) -> None:
        one.child.before_start()
        one.process = subprocess.Popen(
            one.child.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=one.child.folder,
            env=dict(one.child.environ),
            start_new_session=True,
            preexec_fn=die_with_parent(one.child.orphan_signal),  # noqa: PLW1509  there are no threads here
        )
        assert one.process.stdout is not None
        os.set_blocking(one.process.stdout.fileno(), False)
        self._selector.register(one.process.stdout, selectors.EVENT_READ, one)

    def _pump(self, wait_s: float) -> None:
        """Show the complete lines that arrive within `wait_s`; returns early once there were some."""
        if not self._selector.get_map():
            time.sleep(wait_s)
            return
        for key, _ in self._selector.select(wait_s):
            self._read(key.data)

    def _read(self, one: _Running) -> bool:
        """Show what one read brings; False if there was nothing."""
        assert one.process is not None
        assert one.process.stdout is not None
        try:
            data = os.read(one.process.stdout.fileno(), READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            # Closed by all that could write, which may happen a moment before the end is noticed.
            self._forget(one.process.stdout)
        *lines, one.partial = (one.partial + data).split(b"\n")
        for raw in lines:
            line = raw.decode("utf-8", errors="replace").rstrip()
            one.last_lines.append(line)
            self._emit(one.child.name, line)
        return bool(data)

    def _bury(self, one: _Running, now: float) -> None:
        """A child died by itself: clear up, and plan its next life."""
        assert one.process is not None
        code = one.process.returncode
        self._end(one)
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        one.deaths.append(now)
        while one.deaths[0] < now - DEATH_WINDOW_S:
            one.deaths.popleft()
        if len(one.deaths) > MAX_DEATHS:
            last = "\n".join(f"  {line}" for line in one.last_lines)
            raise ChildGaveUp(
                f"The {one.child.name} process {how}, {len(one.deaths)} times within {DEATH_WINDOW_S:.0f} s. "
                f"Its last lines:\n{last}"
            )
        pause_s = FIRST_BACKOFF_S * 2 ** (len(one.deaths) - 1)
        one.start_at = now + pause_s
        self._emit(one.child.name, f"{how}; it starts again in {pause_s:g} s")

    def _end(self, one: _Running) -> None:
        """Kill what is left of the group, read what is left in the pipe."""
        process = one.process
        assert process is not None
        assert process.stdout is not None
        kill_group(process.pid, signal.SIGKILL)
        process.wait()
        while self._read(one):
            pass
        if one.partial:
            one.last_lines.append(one.partial.decode("utf-8", errors="replace"))
            self._emit(one.child.name, one.last_lines[-1])
        self._forget(process.stdout)
        process.stdout.close()
        one.partial = b""
        one.process = None

    def _forget(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(pipe)
