"""Bodies that a refusal leaves unread, and the connection they lie on.

A request can be refused by its head alone: no key, too many requests, the wrong type. A web server that then finds the
body half read drops the connection without a word, and a client that is about to send its next request on it sees that
one fail. So the answer waits for the body of a caller whose credential holds, as it would have if it had been accepted.

Strangers are not waited for: whoever sends a byte a minute would hold a thread. Nor can a read be given up after a
moment: granian's blocks until the client sends, and a worker stands still where the answer is sent meanwhile. They are
told `Connection: close`, after the moment that a body takes which follows its head at once; the server takes in what is
there by itself when it closes, and a client that goes on sending into a closed line would not see its answer.
"""

import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIApplication

from events.authentication import KNOWN_CALLER

PAUSE_S: Final = 0.02
CHUNK_BYTES: Final = 65_536
_Fault = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class LeftoverBodies:
    """A WSGI application around another one; only answers of 2xx are taken to have read the body.

    `limit_bytes` is the largest body that is waited for.
    """

    def __init__(self, application: WSGIApplication, *, limit_bytes: int) -> None:
        self._application = application
        self._limit_bytes = limit_bytes

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("CONTENT_LENGTH", "0") in {"", "0"} and not environ.get("HTTP_TRANSFER_ENCODING"):
            return self._application(environ, start_response)

        def start(
            status: str, headers: list[tuple[str, str]], fault: _Fault | None = None, /
        ) -> Callable[[bytes], object]:
            if not status.startswith("2") and not self._read_rest(environ):
                headers = [*headers, ("Connection", "close")]
            return start_response(status, headers, fault) if fault else start_response(status, headers)

        return self._application(environ, start)

    def _read_rest(self, environ: dict[str, Any]) -> bool:
        """Whether nothing of the body is left any more."""
        length = environ.get("CONTENT_LENGTH", "")
        if not (environ.get(KNOWN_CALLER) and length.isdecimal() and int(length[:20]) <= self._limit_bytes):
            time.sleep(PAUSE_S)
            return False
        try:
            while environ["wsgi.input"].read(CHUNK_BYTES):
                pass
        except (OSError, ValueError, RuntimeError):
            return False  # the line is broken
        return True
