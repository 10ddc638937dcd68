"""Requests as bytes on a socket: what no HTTP library would send."""

import gzip
import socket
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from tests.chaos.system import Answer, System, decoded

MEGABYTE: Final = 1 << 20


def head(system: System, *lines: str, key: str | None = None) -> bytes:
    """The head of an events request, with a good key unless another one is given."""
    own = ["POST /api/v1/events HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {key or system.key}"]
    return "\r\n".join([*own, "Content-Type: application/json", *lines, "", ""]).encode()


def request(system: System, body: bytes, *lines: str) -> bytes:
    """A whole request, its length stated as it is."""
    return head(system, f"Content-Length: {len(body)}", *lines) + body


def talk(system: System, parts: Sequence[bytes], *, hang_up: bool = False, limit_s: float = 30) -> Answer | None:
    """Send bytes and read the answer; None where the server closes the connection without one.

    `hang_up` says after the last byte that no more will come.
    """
    started = time.monotonic()
    received = b""
    with socket.create_connection(("127.0.0.1", system.port), limit_s) as line:
        with suppress(OSError):  # it may refuse before it has read everything
            for part in parts:
                line.sendall(part)
            if hang_up:
                line.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while not _is_complete(received) and (part := line.recv(65_536)):
                received += part
    if not received:
        return None
    first, _, body = received.partition(b"\r\n\r\n")
    status, *lines = first.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
    # What else came answers what was taken for a second request.
    body = body[: int(headers.get("content-length", len(body)))]
    return Answer(int(status.split()[1]), headers, decoded(body), time.monotonic() - started)


def bomb(unpacked: int = 1 << 30) -> bytes:
    """A gzip body of about a thousandth of what it unpacks to."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(MEGABYTE)
    return b"".join(packer.compress(zeros) for _ in range(unpacked // MEGABYTE)) + packer.flush()


def packed(body: bytes) -> bytes:
    return gzip.compress(body)


def _is_complete(received: bytes) -> bool:
    first, end, body = received.partition(b"\r\n\r\n")
    length = [line.split(b":")[1] for line in first.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(end) and bool(length) and len(body) >= int(length[0])
