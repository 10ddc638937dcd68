"""The program in which files of strangers are decoded: `python -m features.media.child SOCKET ENCODER`.

It gets open files over a socket, one at a time, and answers with numbers. It has no database, no secrets in its
environment, no network where the kernel lets it give that up, no right to write a file, a limit on memory and, for each
file, one on processor time. Whoever takes it over has won little; whatever kills it costs one file.

    in:  one open file as ancillary data, with a JSON line {"cpu_s": ..., "limits": {...}}
    out: length (8 bytes, big endian), JSON of `findings.Answer`; the first answer, without a question, says "ready"
"""

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

import msgspec

from features.media.findings import Answer, Findings
from features.media.limits import Limits
from features.media.reasons import MediaError

MAX_QUESTION_BYTES: Final = 4096
Analyse = Callable[[IO[bytes], Limits], Findings]
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000


class Question(msgspec.Struct):
    """How much a file may cost."""

    cpu_s: int
    limits: Limits


def main(connection: socket.socket, encoder: Path | None, memory_bytes: int) -> None:
    """Answer until the other side hangs up."""
    analyse = _prepared(encoder)
    _give_up_rights(memory_bytes)
    _send(connection, Answer(code="ready"))
    while True:
        question, files, _, _ = socket.recv_fds(connection, MAX_QUESTION_BYTES, 1)
        if not question:
            return
        asked = msgspec.json.decode(question, type=Question)
        with os.fdopen(files[0], "rb") as file:
            _grant_cpu(asked.cpu_s)
            _send(connection, _answer(analyse, file, asked.limits))


def _answer(analyse: Analyse, file: IO[bytes], limits: Limits) -> Answer:
    try:
        return Answer(analyse(file, limits))
    except MediaError as error:
        return Answer(code=error.code, more=error.more)
    except MemoryError:
        return Answer(code="out_of_memory")
    except Exception as error:
        return Answer(code="crashed", more=f"({type(error).__name__}: {error})"[:300])


def _prepared(encoder: Path | None) -> Analyse:
    """Import and load all that is needed, while files may still be opened and memory is free."""
    # Before the first thread: only a process of one thread may leave its namespaces.
    _leave_network()
    import librosa.feature  # noqa: PLC0415  after the network is given up
    import librosa.onset  # noqa: PLC0415

    from features.media.analyse import Analyser  # noqa: PLC0415

    librosa.feature.mfcc, librosa.onset.onset_strength, librosa.feature.tempo  # noqa: B018  it imports on first use
    return Analyser(encoder).analyse


def _leave_network() -> None:
    """Go into a network of one's own without a single interface; kernels may refuse it, which is no reason to stop."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).unshare(_NEW_USER | _NEW_NETWORK)


def _give_up_rights(memory_bytes: int) -> None:
    """Limit memory to what is in use now and `memory_bytes` more, and write nothing from here on."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def _grant_cpu(cpu_s: int) -> None:
    """So much processor time from now on; the kernel ends the process beyond it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + cpu_s
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _send(connection: socket.socket, answer: Answer) -> None:
    body = msgspec.json.encode(answer)
    connection.sendall(len(body).to_bytes(8) + body)


if __name__ == "__main__":
    # A Ctrl-C in the terminal is for the parent, which hangs up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(10)
    main(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]) if sys.argv[2] else None, int(sys.argv[3]))
