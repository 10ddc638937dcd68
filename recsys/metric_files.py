"""Metrics of several processes, on a disk that may fill up.

The client library maps files that it makes by setting their length. Their blocks are only found when they are written
to, and where the disk has none left by then the kernel kills the process (SIGBUS): a full disk took the web workers
down one after the other, though they needed no room for anything else. Here the blocks are taken first; where there are
none, the counters of the process live in memory, and are missing from the sum until it is started again.
"""

import contextlib
import logging
import os
from typing import Final

from prometheus_client import mmap_dict, values

logger = logging.getLogger(__name__)
FIRST_BYTES: Final = mmap_dict._INITIAL_MMAP_SIZE


class ReservedFile(mmap_dict.MmapedDict):
    """The library's file of counters, whose blocks exist before they are written to."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        self._in_memory: int | None = None
        if not read_mode and not _reserved(filename, FIRST_BYTES):
            logger.warning("no room for the metrics in %s: they stay in memory", filename)
            # An empty file would break the reading of all others.
            with contextlib.suppress(OSError):
                os.unlink(filename)
            filename = self._memory()
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]  # untyped upstream

    def _init_value(self, key: str) -> None:
        """Lock must be held by caller, as in the library, whose own round then finds the blocks there."""
        needed = self._used + 4 + len(key.encode()) + 32
        if needed > self._capacity and self._in_memory is None and not _grown(self._f.fileno(), self._capacity * 2):
            logger.warning("no room for more metrics in %s: they go on in memory", self._fname)
            self._move_to_memory()
        super()._init_value(key)  # type: ignore[no-untyped-call]  # untyped upstream

    def close(self) -> None:
        """Give the memory back, too."""
        super().close()  # type: ignore[no-untyped-call]  # untyped upstream
        if self._in_memory is not None:
            os.close(self._in_memory)
            self._in_memory = None

    def _memory(self) -> str:
        self._in_memory = os.memfd_create("metrics")
        return f"/proc/self/fd/{self._in_memory}"

    def _move_to_memory(self) -> None:
        kept = bytes(self._m)
        self._m.close()
        self._f.close()
        path = self._memory()
        with open(path, "wb") as file:
            file.write(kept)
        super().__init__(path)  # type: ignore[no-untyped-call]  # untyped upstream


def install() -> None:
    """Let the library use these files. Before the first metric is made: settings do it."""
    values.MmapedDict = ReservedFile  # type: ignore[attr-defined]  # not meant to be replaced, and nothing else is


def _reserved(filename: str, size: int) -> bool:
    try:
        with open(filename, "ab") as file:
            return _grown(file.fileno(), max(size, os.fstat(file.fileno()).st_size))
    except OSError:
        return False


def _grown(descriptor: int, size: int) -> bool:
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError:
        return False
    return True
