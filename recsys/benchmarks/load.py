"""`python -m recsys.benchmarks.load <port> <connections> <per connection> <requests> <answers>`: send, keep answers.

One thread over raw sockets, apart from the benchmark's own process and without Django: what it costs is taken from the
server it measures. Each connection sends its next request as soon as its last one is answered.

Which process of a server gets a connection is chance, and stays so for as long as it is kept: two connections for a
whole run measure one process or two, by luck. After `per connection` answers (0: never) each gives way to a new one, so
that a run is the mean of both.
"""

import selectors
import socket
import struct
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

LENGTH: Final = struct.Struct("<dI")
READ_BYTES: Final = 65_536
LIMIT_S: Final = 300.0


class Answer(NamedTuple):
    """One answer: seconds from the first byte sent to the last received, status line and headers, body."""

    seconds: float
    head: bytes
    body: bytes


class _Connection:
    """One kept connection and the answer it is waiting for."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.started = 0.0
        self.sent = 0

    def send(self, request: bytes) -> None:
        self.received = b""
        self.sent += 1
        self.started = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> Answer | None:
        """The answer, once it is complete."""
        part = self.socket.recv(READ_BYTES)
        if not part:
            raise ConnectionError(f"the server closed a connection after {self.received!r}")
        self.received += part
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end or len(body) < _content_length(head):
            return None
        return Answer(time.perf_counter() - self.started, head, body)


def send_all(
    port: int, requests: Sequence[bytes], *, connections: int, per_connection: int = 0
) -> tuple[float, list[Answer]]:
    """Send every request once; returns the seconds of all of it, and the answers in the order of their arrival."""
    waiting = iter(requests)
    answers: list[Answer] = []
    with selectors.DefaultSelector() as selector:
        opened = [_Connection(port) for _ in range(min(connections, len(requests)))]
        started = time.perf_counter()
        for one in opened:
            selector.register(one.socket, selectors.EVENT_READ, one)
            one.send(next(waiting))
        while len(answers) < len(requests):
            ready = selector.select(LIMIT_S)
            if not ready:
                raise TimeoutError(f"no answer within {LIMIT_S:.0f} s")
            for key, _ in ready:
                one = key.data
                answer = one.receive()
                if answer is None:
                    continue
                answers.append(answer)
                following = next(waiting, None)
                if following is None:
                    selector.unregister(one.socket)  # a server that closes it now has nothing to say to us
                    continue
                if _gives_way(answer) or (per_connection and one.sent >= per_connection):
                    selector.unregister(one.socket)
                    one.socket.close()
                    one = _Connection(port)
                    opened.append(one)
                    selector.register(one.socket, selectors.EVENT_READ, one)
                one.send(following)
        seconds = time.perf_counter() - started
        for one in opened:
            one.socket.close()
    return seconds, answers


def write_parts(path: Path, parts: Iterable[tuple[float, bytes]]) -> None:
    """Keep a number and a text each, one behind the other."""
    with path.open("wb") as file:
        for number, part in parts:
            file.write(LENGTH.pack(number, len(part)) + part)


def read_parts(path: Path) -> list[tuple[float, bytes]]:
    """The inverse of `write_parts`."""
    data, parts, at = path.read_bytes(), [], 0
    while at < len(data):
        number, length = LENGTH.unpack_from(data, at)
        at += LENGTH.size + length
        parts.append((number, data[at - length : at]))
    return parts


def _gives_way(answer: Answer) -> bool:
    """Whether the server closes the connection behind this answer."""
    return b"\nconnection: close" in answer.head.lower()


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ConnectionError(f"an answer without a length: {head!r}")


def main() -> None:
    """The seconds of the whole run come first in the file of answers, then each answer with its own."""
    port, connections, per_connection, source, target = sys.argv[1:]
    requests = [request for _, request in read_parts(Path(source))]
    seconds, answers = send_all(int(port), requests, connections=int(connections), per_connection=int(per_connection))
    parts = [(answer.seconds, answer.head + b"\r\n\r\n" + answer.body) for answer in answers]
    write_parts(Path(target), [(seconds, b""), *parts])


if __name__ == "__main__":
    main()
