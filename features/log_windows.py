"""Hours of the log: how many events each has, and which of them the feature store has not taken in as they are now.

Counting compares instead of asking writers to mark what they touch: it finds late events, imports and erasures alike,
whoever wrote them, and cannot be forgotten.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from django.db.models import Max, Sum
from numpy.typing import NDArray

from events.queries import events_per_window
from features.extraction.definitions import COUNTER_SET, WINDOW_S
from features.models import FillState


@dataclass(frozen=True, slots=True)
class OpenWindows:
    """Hours to fill, ascending, with their events: the first one that differs and all after it.

    A state carries everything before it, so an hour that changes makes every later one wrong too.
    """

    window: NDArray[np.int64]
    events: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.window)


def moment(window: int) -> datetime:
    """Start of an hour given as hours since 1970 UTC."""
    return datetime.fromtimestamp(window * WINDOW_S, UTC)


def open_windows(until: datetime) -> tuple[int | None, OpenWindows]:
    """The first hour in which store and log differ (None: they agree), and the hours with events from there on.

    The hour that runs at `until` is open whenever it has events that were not all there, or came further since.
    """
    window, events = events_per_window(until, window_s=WINDOW_S)
    end = np.minimum((window + 1) * WINDOW_S, until.timestamp())
    wanted = {
        hour: (count, stop, COUNTER_SET)
        for hour, count, stop in zip(window.tolist(), events.tolist(), end.tolist(), strict=True)
    }
    filled = {
        int(row.window_start.timestamp() // WINDOW_S): (row.events, row.as_of.timestamp(), row.feature_set)
        for row in FillState.objects.all()
    }
    differing = [hour for hour in wanted.keys() | filled.keys() if wanted.get(hour) != filled.get(hour)]
    if not differing:
        return None, OpenWindows(window[:0], events[:0])
    first = min(differing)
    tail = window >= first
    return first, OpenWindows(window[tail], events[tail])


def newest_as_of() -> datetime | None:
    """How far the store has come; None before the first hour."""
    newest: datetime | None = FillState.objects.aggregate(newest=Max("as_of"))["newest"]
    return newest


def filled_before(moment: datetime | None = None) -> NDArray[np.int64]:
    """Numbers of the hours that are filled, ascending; only those that start before the moment, if one is given."""
    rows = FillState.objects.order_by("window_start")
    if moment is not None:
        rows = rows.filter(window_start__lt=moment)
    starts = rows.values_list("window_start", flat=True)
    return np.array([start.timestamp() // WINDOW_S for start in starts], np.int64)


def filled_events() -> int:
    """Events that the store has taken in."""
    return FillState.objects.aggregate(events=Sum("events"))["events"] or 0


def chunks(windows: OpenWindows, *, max_events: int) -> list[slice]:
    """Cut windows into runs of at most `max_events` events (or one window, if that alone has more)."""
    runs: list[slice] = []
    start, total = 0, 0
    for at, count in enumerate(windows.events.tolist()):
        if at > start and total + count > max_events:
            runs.append(slice(start, at))
            start, total = at, 0
        total += count
    return [*runs, slice(start, len(windows))] if len(windows) else runs
