"""Load shedding: at most so many feeds in work in one process; who comes beyond them is told at once when to return.

Refusing costs a hundredth of a feed. Letting requests wait instead would make all of them late, those included that
could have been answered in time. It is the plan and no error: the log tells of it as information, and
`recsys_feeds_shed_total` counts it.
"""

import contextlib
import threading
from collections.abc import Iterator

from django.conf import settings
from prometheus_client import Counter

from events.errors import Unavailable

RETRY_AFTER_S = 1
SHED = Counter("recsys_feeds_shed_total", "Feed requests refused because too many were in work.")


class Overloaded(Unavailable):
    """Too many feeds are in work in this process."""

    code = "overloaded"
    is_expected = True

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


_GATE = Gate()


def in_work() -> contextlib.AbstractContextManager[None]:
    """Count as one of the feeds of this process; raises Overloaded beyond `settings.FEED_MAX_IN_WORK`."""
    return _GATE.entered(settings.FEED_MAX_IN_WORK)
