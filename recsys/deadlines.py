"""A request never waits for the database longer than some seconds, whatever the database does.

PostgreSQL's own timeouts (`settings.DATABASE_PATIENCE_S`) end a slow statement and a long wait for a lock. They are of
no use when the server process itself stands still: its kernel goes on acknowledging packets, so no TCP timeout fires,
and the driver waits for ever with a thread of the web server. Here a watcher shuts the connection of such a request
down; the driver then reports a lost connection, which is answered with 503.
"""

import contextlib
import itertools
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.db import connection, connections
from django.http import HttpRequest, HttpResponse

# Beyond the patience of the server, which knows better what it is waiting for.
GRACE_S: Final = 2.0
LOOK_S: Final = 0.5


class Watch:
    """Cuts the connections of whoever stays longer than `limit_s`; its thread runs while anybody is inside."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._inside: dict[int, tuple[float, Any]] = {}
        self._numbers = itertools.count()
        self._runs = False

    @contextlib.contextmanager
    def over(self, wrapper: Any) -> Any:
        """Watch a Django connection of this thread."""
        number = next(self._numbers)
        with self._lock:
            self._inside[number] = time.monotonic() + self._limit_s, wrapper
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._look, name="database deadline", daemon=True).start()
        try:
            yield
        finally:
            with self._lock:
                del self._inside[number]

    def _look(self) -> None:
        while True:
            time.sleep(LOOK_S)
            # Under the lock nobody leaves, so a connection that is cut here is still that of its request.
            with self._lock:
                if not self._inside:
                    self._runs = False
                    return
                now = time.monotonic()
                for deadline, wrapper in self._inside.values():
                    if now > deadline:
                        _cut(wrapper)


class DatabaseDeadline:
    """Middleware: watches the database connection of every request, where `DATABASE_PATIENCE_S` says so."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.watch = Watch(settings.DATABASE_PATIENCE_S + GRACE_S) if settings.DATABASE_PATIENCE_S else None

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if self.watch is None:
            return self.get_response(request)
        with self.watch.over(connections[connection.alias]):
            return self.get_response(request)


def _cut(wrapper: Any) -> None:
    driver = wrapper.connection
    # It may end at this very moment: then there is nothing to cut.
    with contextlib.suppress(Exception):
        if driver is not None and not driver.closed:
            with socket.socket(fileno=os.dup(driver.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)
