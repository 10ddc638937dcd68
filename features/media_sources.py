"""Open the media of a content: files below MEDIA_ROOT, or web addresses, fetched without becoming anyone's proxy.

A path is walked folder by folder without following a link. A web address is resolved once; if any of its addresses is
private, loopback, link-local or otherwise not of the public internet, it is refused, and the connection goes to the
address that was checked, so that a second answer of the name server changes nothing. Every redirect starts over. Hosts
named in the setting MEDIA_PRIVATE_HOSTS may be private: a storage server beside this one.
"""

import contextlib
import hashlib
import http.client
import ipaddress
import os
import socket
import ssl
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from django.conf import settings

from features.media.reasons import MediaError

MAX_REDIRECTS: Final = 3
CONNECT_S: Final = 5.0
FETCH_S: Final = 120.0
"""For the whole of it, redirects included."""
_CHUNK_BYTES: Final = 1 << 18
_PORTS: Final = {"http": 80, "https": 443}
_GONE: Final = frozenset({400, 401, 403, 404, 405, 406, 410, 414, 451})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


def digest(url: str) -> str:
    """What tells whether the media of a content changed: of a file its size and time too. "" for no media."""
    if not url:
        return ""
    facts = url
    if _is_local(url):
        with contextlib.suppress(MediaError), _local(url) as file:
            known = os.fstat(file.fileno())
            facts = f"{url} {known.st_size} {known.st_mtime_ns}"
    return hashlib.blake2b(facts.encode(), digest_size=16).hexdigest()


@contextlib.contextmanager
def opened(url: str, *, max_bytes: int) -> Iterator[IO[bytes]]:
    """The open file of a media address; a fetched one is gone afterwards.

    Raises
    ------
    MediaError : with the reason why it cannot be had
    """
    if not url:
        raise MediaError("no_media")
    if _is_local(url):
        with _local(url) as file:
            yield file
        return
    with tempfile.TemporaryFile(prefix="recsys-media-") as file:
        _fetch(url, file, max_bytes=max_bytes)
        file.seek(0)
        yield file


# --- Files -----------------------------------------------------------------------------------------------------------
def _is_local(url: str) -> bool:
    return url.startswith(settings.MEDIA_URL) and not url.startswith("//")


@contextlib.contextmanager
def _local(url: str) -> Iterator[IO[bytes]]:
    """A file below MEDIA_ROOT. No part of the path may be a link, "..", hidden in an escape, or anything but a file."""
    path = unquote(urlsplit(url).path.removeprefix(settings.MEDIA_URL))
    parts = path.split("/")
    if any(part in {"", ".", ".."} or "\0" in part for part in parts):
        raise MediaError("forbidden_path")
    with contextlib.ExitStack() as stack:
        folder = _descend(str(settings.MEDIA_ROOT), None, os.O_DIRECTORY, stack)
        for part in parts[:-1]:
            folder = _descend(part, folder, os.O_DIRECTORY | os.O_NOFOLLOW, stack)
        # A named pipe must not keep us waiting for its writer.
        found = _descend(parts[-1], folder, os.O_NOFOLLOW | os.O_NONBLOCK, stack)
        if not stat.S_ISREG(os.fstat(found).st_mode):
            raise MediaError("forbidden_path")
        with os.fdopen(os.dup(found), "rb") as file:
            yield file


def _descend(name: str, folder: int | None, flags: int, stack: contextlib.ExitStack) -> int:
    try:
        handle = os.open(name, os.O_RDONLY | os.O_CLOEXEC | flags, dir_fd=folder)
    except FileNotFoundError:
        raise MediaError("not_found") from None
    except OSError as error:
        raise MediaError("forbidden_path", f"({error.strerror})") from None
    stack.callback(os.close, handle)
    return handle


# --- The web ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Target:
    """Where to ask for what, with the address that was checked."""

    secure: bool
    host: str
    port: int
    address: str
    request: str


def _fetch(url: str, file: IO[bytes], *, max_bytes: int) -> None:
    deadline = time.monotonic() + FETCH_S
    for _ in range(MAX_REDIRECTS + 1):
        moved = _get(_target(url), file, max_bytes=max_bytes, deadline=deadline)
        if moved is None:
            return
        url = urljoin(url, moved)
    raise MediaError("too_many_redirects")


def _target(url: str) -> _Target:
    parts, port = _parsed(url)
    host = parts.hostname or ""
    trusted = host in settings.MEDIA_PRIVATE_HOSTS
    if port not in _PORTS.values() and not trusted:
        raise MediaError("forbidden_address", f"(Its port is {port}.)")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise MediaError("fetch_failed", f"(The name {host} is unknown: {error})") from None
    addresses = [str(each[4][0]) for each in found]
    if not trusted and not all(is_public(each) for each in addresses):
        raise MediaError("forbidden_address")
    request = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Target(parts.scheme == "https", host, port, addresses[0], request)


def _parsed(url: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise MediaError("bad_address") from None
    if parts.scheme not in _PORTS or not parts.hostname or parts.username or parts.password:
        raise MediaError("bad_address")
    if not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
        raise MediaError("bad_address")
    return parts, port


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, also inside the IPv6 forms that carry an IPv4 address."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(known, ipaddress.IPv6Address):
        inner = known.ipv4_mapped or known.sixtofour or (known.teredo and known.teredo[1])
        # 64:ff9b::/96 is how a network without IPv4 reaches it; the last 32 bits are the address.
        if known in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(known) & 0xFFFF_FFFF)
        if inner and not is_public(str(inner)):
            return False
    return known.is_global and not known.is_multicast


class _Pinned(http.client.HTTPConnection):
    """A connection to the address that was checked, in the name of the host."""

    def __init__(self, target: _Target) -> None:
        super().__init__(target.host, target.port, timeout=CONNECT_S)
        self._target = target
        self.line: socket.socket | None = None

    def connect(self) -> None:
        self.sock = socket.create_connection((self._target.address, self.port), timeout=CONNECT_S)
        if self._target.secure:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self._target.host)
        # http.client forgets its socket as soon as it has read the head of an answer that ends the connection.
        self.line = self.sock


def _get(target: _Target, file: IO[bytes], *, max_bytes: int, deadline: float) -> str | None:
    """Write the answer into the file; or return where it moved to."""
    connection = _Pinned(target)
    # A server that sends a byte now and then never runs into the time limit of a single read.
    cut = threading.Timer(max(deadline - time.monotonic(), 0.0), _cut, [connection])
    cut.daemon = True
    cut.start()
    try:
        connection.request(
            "GET", target.request, headers={"Accept": "video/*, audio/*, image/*", "Connection": "close"}
        )
        answer = connection.getresponse()
        if answer.status in _REDIRECTS and answer.headers.get("Location"):
            return str(answer.headers["Location"])
        _check_status(answer.status)
        _copy(answer, file, max_bytes=max_bytes)
        if time.monotonic() >= deadline:
            # An answer without a length that was cut off looks like one that ended.
            raise TimeoutError
    except (OSError, http.client.HTTPException) as error:
        late = time.monotonic() >= deadline
        raise MediaError("fetch_failed", "(It took too long.)" if late else f"({type(error).__name__})") from None
    finally:
        cut.cancel()
        connection.close()
    return None


def _check_status(status: int) -> None:
    if status in _GONE:
        raise MediaError("fetch_refused", f"(It answers {status}.)")
    if status != http.client.OK:
        raise MediaError("fetch_failed", f"(It answers {status}.)")


def _copy(answer: http.client.HTTPResponse, file: IO[bytes], *, max_bytes: int) -> None:
    promised = answer.length or 0
    if promised > max_bytes:
        raise MediaError("too_large", f"It has {promised:,} bytes; the limit is {max_bytes:,}.")
    total = 0
    while chunk := answer.read(_CHUNK_BYTES):
        total += len(chunk)
        if total > max_bytes:
            raise MediaError("too_large", f"The limit is {max_bytes:,} bytes.")
        file.write(chunk)


def _cut(connection: _Pinned) -> None:
    if connection.line is not None:
        with contextlib.suppress(OSError):
            # Of the plain socket: that of a TLS socket would pull the session from under the reading thread.
            socket.socket.shutdown(connection.line, socket.SHUT_RDWR)
