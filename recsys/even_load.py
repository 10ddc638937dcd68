"""Web processes that share a port, and the connections that lie uneven on them.

The kernel gives a new connection to whichever process takes it first, busy or not, and there it stays for as long as
the client keeps it: two clients are on one process of two half of the time, and share its interpreter while the other
process sleeps. So each process counts what it is answering where the others see it, and one that has far more to do
than another tells a client `Connection: close` with its answer. The client's next connection is dealt anew, until the
load is even (HTTP/1.1, RFC 9112, 9.6: any client and any proxy knows what to do).
"""

import fcntl
import logging
import mmap
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)
MOST_PROCESSES: Final = 64
_PID, _BUSY = 0, 1
_BYTES: Final = MOST_PROCESSES * 2 * 4
_Fault = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class Table:
    """How many requests each process of one web server is answering: a file that all of them map.

    A process that died leaves its row to the next one that comes; until then it counts as gone, not as idle.

    Raises:
        OSError: The file cannot be written, or all `MOST_PROCESSES` rows are taken.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file).st_size < _BYTES:
                os.pwrite(file, bytes(_BYTES), 0)  # blocks that exist: a full disk must not kill who counts
            self._map = mmap.mmap(file, _BYTES)
            self._rows: NDArray[np.int32] = np.frombuffer(self._map, np.int32).reshape(MOST_PROCESSES, 2)
            self._mine = self._claim()
        finally:
            # By name: the map keeps a copy of the descriptor, with which closing alone would leave the file locked.
            fcntl.flock(file, fcntl.LOCK_UN)
            os.close(file)
        self._lock = threading.Lock()

    def _claim(self) -> int:
        for row, pid in enumerate(self._rows[:, _PID].tolist()):
            if not _lives(pid):
                self._rows[row] = os.getpid(), 0
                return row
        raise OSError(f"all {MOST_PROCESSES} rows of the table of web processes are taken")

    def add(self, change: int) -> None:
        """Count a request that came (1) or went (-1)."""
        with self._lock:
            self._rows[self._mine, _BUSY] += change

    def is_crowded(self) -> bool:
        """Whether this process has at least two requests, and twice as many as a living other one would with one more.

        Nearly even is even enough: a new connection costs its client a round trip, and lands anywhere.
        """
        mine = int(self._rows[self._mine, _BUSY])
        if mine < 2:
            return False
        rows = self._rows.tolist()
        return any(
            mine >= 2 * busy + 2 and row != self._mine and _lives(pid)
            for row, (pid, busy) in enumerate(rows)
            if pid
        )  # fmt: skip


class EvenLoad:
    """A WSGI application around another one; see the module."""

    def __init__(self, application: WSGIApplication, table: Table) -> None:
        self._application = application
        self._table = table

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        def start(
            status: str, headers: list[tuple[str, str]], fault: _Fault | None = None, /
        ) -> Callable[[bytes], object]:
            if self._table.is_crowded():
                headers = [*headers, ("Connection", "close")]
            return start_response(status, headers, fault) if fault else start_response(status, headers)

        # An answer that is a stream counts until its head is out: its rest needs the interpreter now and then only.
        self._table.add(1)
        try:
            return self._application(environ, start)
        finally:
            self._table.add(-1)


def evened(application: WSGIApplication, folder: Path) -> WSGIApplication:
    """The application of a process that was started beside others by the same parent, whose table lies in `folder`.

    Without a table (a full disk) it answers all the same, as the kernel deals the connections.
    """
    try:
        return EvenLoad(application, Table(folder / f"in-flight-{os.getppid()}"))
    except OSError as fault:
        logger.warning("connections stay where the kernel puts them: %s", fault)
        return application


def _lives(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
