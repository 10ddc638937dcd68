"""Load shedding: at most so many feeds in work in one process; who comes beyond them is told at once when to return.

Refusing costs a hundredth of a feed. Letting requests wait instead would make all of them late, those included that
could have been answered in time.

Of the feeds in work a few are made at once, in the order they came. One processor and Python's lock serve them all: a
dozen threads that take turns on them finish no sooner than one after the other, lose time with every turn, and finish
in no particular order, so that some take three times as long as most.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Iterator

from django.conf import settings
from prometheus_client import Counter

from events.errors import Unavailable

RETRY_AFTER_S = 1
PATIENCE_S = 2.0
SHED = Counter("recsys_feeds_shed_total", "Feed requests refused because too many were in work.")


class Overloaded(Unavailable):
    """Too many feeds are in work in this process."""

    code = "overloaded"

    def __init__(self, limit: int) -> None:
        message = f"{limit} feeds are in work here, which is all at once; ask again in {RETRY_AFTER_S} s"
        super().__init__(message, limit=limit, retry_after_s=RETRY_AFTER_S)
        self.headers = {"Retry-After": str(RETRY_AFTER_S)}


class Gate:
    """Counts who is inside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0

    @contextlib.contextmanager
    def entered(self, limit: int) -> Iterator[None]:
        """Be inside; raises Overloaded where `limit` are."""
        with self._lock:
            full = self._inside >= limit
            self._inside += not full
        if full:
            SHED.inc()
            raise Overloaded(limit)
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1


class Lane:
    """Lets a few through at once; the others wait in the order they came."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._waiting: deque[threading.Lock] = deque()

    @contextlib.contextmanager
    def through(self, width: int) -> Iterator[None]:
        """Be one of the `width` inside, as soon as it is one's turn; raises Overloaded where that takes too long.

        Feeds take hundredths of a second, so whoever waits for `PATIENCE_S` waits for a database that stands still.
        """
        turn: threading.Lock | None = None
        with self._lock:
            if self._inside < width:
                self._inside += 1
            else:
                turn = threading.Lock()
                turn.acquire()
                self._waiting.append(turn)
        # Whoever leaves hands over the place, so that nobody who comes later can take it.
        if turn is not None and not turn.acquire(timeout=PATIENCE_S):
            with self._lock:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                    SHED.inc()
                    raise Overloaded(width)
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting.popleft().release()
                else:
                    self._inside -= 1


_GATE = Gate()
_LANE = Lane()


@contextlib.contextmanager
def in_work() -> Iterator[None]:
    """Count as one of the feeds of this process, and be made when it is one's turn.

    Raises Overloaded beyond `settings.FEED_MAX_IN_WORK`; `settings.FEED_AT_ONCE` are made at once.
    """
    with _GATE.entered(settings.FEED_MAX_IN_WORK), _LANE.through(settings.FEED_AT_ONCE):
        yield
