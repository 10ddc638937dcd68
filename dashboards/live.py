"""The last half hour, minute by minute: cheap at any traffic, because a minute that has passed is counted once.

Each process keeps what it counted for a while; only the newest minutes, which still fill, are read again, and at most
once in a few seconds however many pages ask.
"""

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from events.activity_log import minute_counts

MINUTES: Final = 30
OPEN_MINUTES: Final = 2
"""Newest minutes that are counted anew each time: phones send in batches."""
RECOUNT_S: Final = 120.0
"""After so long an old minute is counted again, for what came late."""
FRESH_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Minute:
    """What happened in one minute; users are those of the minute."""

    start: datetime
    events: int
    views: int
    impressions: int
    users: int


@dataclass(slots=True)
class _Kept:
    minute: Minute
    at: float


class Live:
    """The minutes of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[datetime, _Kept] = {}
        self._answer: tuple[float, list[Minute]] = (float("-inf"), [])

    def minutes(self, now: datetime) -> list[Minute]:
        """The last thirty minutes, oldest first, the running one last."""
        with self._lock:
            clock = time.monotonic()
            if clock - self._answer[0] > FRESH_S or self._answer[1][-1].start != _minute(now):
                self._answer = clock, self._counted(_minute(now), clock)
            return self._answer[1]

    def forget(self) -> None:
        """Count everything again."""
        with self._lock:
            self._kept.clear()
            self._answer = (float("-inf"), [])

    def _counted(self, newest: datetime, clock: float) -> list[Minute]:
        starts = [newest - timedelta(minutes=n) for n in reversed(range(MINUTES))]
        self._kept = {start: kept for start, kept in self._kept.items() if start >= starts[0]}
        still_open = newest - timedelta(minutes=OPEN_MINUTES - 1)
        due = [
            start for start in starts
            if start >= still_open or start not in self._kept or clock - self._kept[start].at > RECOUNT_S
        ]  # fmt: skip
        counts = minute_counts(due[0], newest + timedelta(minutes=1))
        for start in starts[starts.index(due[0]) :]:
            self._kept[start] = _Kept(Minute(start, *counts.get(start, (0, 0, 0, 0))), clock)
        return [self._kept[start].minute for start in starts]


def _minute(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


_live: Final = Live()


def minutes(now: datetime) -> list[Minute]:
    """The last thirty minutes as this process knows them."""
    return _live.minutes(now)


def forget() -> None:
    """Drop what this process remembers."""
    _live.forget()
