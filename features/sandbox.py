"""A child process that decodes files, kept for the next file and replaced when one kills it.

Starting it takes three seconds (and once per installation fifteen, while librosa compiles); a file then costs what
decoding costs. Every limit ends in a typed reason: memory and processor time are limited in the child, the clock here.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Final, Self

import msgspec

from features.media.findings import Answer, Findings
from features.media.limits import Limits
from features.media.reasons import REASONS, MediaError

ROOT: Final = Path(__file__).resolve().parent.parent
START_S: Final = 180.0
FILES_PER_CHILD: Final = 500
"""What a decoder leaks goes back to the machine after so many files."""
_MAX_ANSWER_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Cost:
    """What one file may cost: memory beyond what the idle child has, processor seconds, seconds of the clock."""

    memory_bytes: int = 1_200_000_000
    cpu_s: int = 45
    wall_s: float = 90.0
    limits: Limits = field(default_factory=Limits)


class SandboxError(RuntimeError):
    """The child cannot be started; its own words say why."""


class Sandbox:
    """Analyses open files in a child process; for one thread at a time."""

    def __init__(self, encoder: Path | None, *, cache: Path, cost: Cost | None = None) -> None:
        """
        Parameters
        ----------
        encoder : folder of the visual encoder; without one, frames are hashed and not encoded
        cache : a folder that outlives the process, for what librosa compiles
        """
        self._encoder, self._cache, self._cost = encoder, cache, cost or Cost()
        self._child: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._files = 0

    def analyse(self, file: IO[bytes]) -> Findings:
        """What is in an open file.

        Raises
        ------
        MediaError : with the reason
        SandboxError : when there is no child to ask
        """
        connection = self._connected()
        question = {"cpu_s": self._cost.cpu_s, "limits": asdict(self._cost.limits)}
        try:
            connection.settimeout(self._cost.wall_s)
            socket.send_fds(connection, [msgspec.json.encode(question)], [file.fileno()])
            answer = _receive(connection)
        except TimeoutError:
            self.close()
            raise MediaError("timed_out", f"It is {self._cost.wall_s:.0f} s.") from None
        except (OSError, EOFError, msgspec.MsgspecError):
            raise self._obituary() from None
        self._files += 1
        if answer.code == "out_of_memory" or self._files >= FILES_PER_CHILD:
            self.close()
        if answer.findings is None:
            # The child may be in the hands of the file it decoded; it may only choose among known reasons.
            raise MediaError(answer.code if answer.code in REASONS else "crashed", answer.more[:300])
        return answer.findings

    def close(self) -> None:
        """End the child; the next file gets a new one."""
        if self._socket is not None:
            self._socket.close()
        if self._child is not None:
            self._child.kill()
            self._child.wait()
        self._child, self._socket, self._files = None, None, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def process_id(self) -> int | None:
        """Of the child, while there is one."""
        return None if self._child is None else self._child.pid

    def _connected(self) -> socket.socket:
        if self._socket is not None and self._child is not None and self._child.poll() is None:
            return self._socket
        self.close()
        self._cache.mkdir(parents=True, exist_ok=True)
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "features.media.child", str(theirs.fileno())]
        command += [str(self._encoder or ""), str(self._cost.memory_bytes)]
        with theirs:
            self._child = subprocess.Popen(
                command, cwd=ROOT, env=_environment(self._cache), pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        self._socket = ours
        ours.settimeout(START_S)
        with contextlib.suppress(OSError, EOFError, msgspec.MsgspecError):
            if _receive(ours).code == "ready":
                return ours
        self.close()
        raise SandboxError("the process that decodes media does not start")

    def _obituary(self) -> MediaError:
        """The reason to give when the child hung up, by how it ended."""
        child = self._child
        status = 0
        if child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = child.wait(timeout=5.0)
        self.close()
        if status == -signal.SIGXCPU:
            return MediaError("timed_out", f"It is {self._cost.cpu_s} s of processor time.")
        if status == -signal.SIGKILL:
            # Nobody here did it, so the kernel ran out of memory.
            return MediaError("out_of_memory")
        return MediaError("crashed", f"(status {status})")


def _environment(cache: Path) -> dict[str, str]:
    """Nothing of ours but where programs are: settings hold secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "VIRTUAL_ENV") if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    return {**kept, **threads, "NUMBA_CACHE_DIR": str(cache), "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}


def _receive(connection: socket.socket) -> Answer:
    length = int.from_bytes(_exactly(connection, 8))
    if length > _MAX_ANSWER_BYTES:
        raise EOFError("the answer is longer than any honest one")
    return msgspec.json.decode(_exactly(connection, length), type=Answer)


def _exactly(connection: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        piece = connection.recv(count - len(parts))
        if not piece:
            raise EOFError("the child hung up")
        parts += piece
    return bytes(parts)
