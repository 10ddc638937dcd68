"""Who behaves like a program: one mark for each user and hour, recomputed from the log wherever it has changed.

The log itself keeps what was known on arrival (`additional_info.bot` and `.internal`) and is never updated. What shows
only later is kept beside it, so that a late event, an erasure or a new rule changes the marks; `people_only` reads
(`queries.interactions_between`) leave out both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import pyarrow as pa

from events import windows
from events.cleaning.behaviour import automated
from events.cleaning.schema import EVENT_TYPES
from events.copy_out import TEXT, copy_out, decoded, filled
from events.models import AutomatedHour
from events.windows import WINDOW_S, Window

FAMILY: Final = "traffic"
RUN_EVENTS: Final = 500_000
RUN_WINDOWS: Final = 256

_EVENTS: Final = """
    SELECT event.user_id, date_part('epoch', event."timestamp") AS at, event_type,
           additional_info->>'watch_duration' AS watch_s
    FROM event JOIN unnest(%s::timestamptz[]) AS hour (start)
        ON event."timestamp" >= hour.start AND event."timestamp" < hour.start + interval '1 hour'
"""
_COLUMNS: Final = {"user_id": TEXT, "at": pa.float64(), "event_type": TEXT, "watch_s": pa.float32()}


@dataclass(frozen=True, slots=True)
class TrafficReport:
    """What a rebuild did: hours looked at, and the hours of which some user's mark came or went."""

    windows: int
    changed: int


def mark_automated(*, until: datetime, now: datetime | None = None) -> TrafficReport:
    """Bring the marks in line with the log before `until`; one transaction for each run of hours.

    An hour whose marks change is opened again for every family, because rows derived from it may have left out the
    wrong people. One that cannot be judged holds up no other (`windows.work_off`).
    """
    done = 0
    changed: list[datetime] = []

    def work(mine: Sequence[Window]) -> None:
        hours = _mark(mine)
        for start in hours:
            windows.reopen(start, datetime.fromtimestamp(start.timestamp() + WINDOW_S, UTC))
        # Counted all at once: of a run that fails nothing stays.
        changed.extend(hours)

    now = now or until
    opened = windows.open_windows(FAMILY, until=until, now=now)
    for run in windows.runs(opened, max_events=RUN_EVENTS, max_windows=RUN_WINDOWS):
        done += len(windows.work_off(FAMILY, run, work, now=now))
    return TrafficReport(done, len(changed))


def _mark(mine: Sequence[Window]) -> list[datetime]:
    """Replace the marks of some hours; the hours in which that changed something."""
    starts = [window.start for window in mine]
    found = _found(starts)
    rows = AutomatedHour.objects.filter(window_start__in=starts)
    known = {(row.window_start, row.user_id): row.pk for row in rows}
    gone = [pk for mark, pk in known.items() if mark not in found]
    new = sorted(found - known.keys())
    AutomatedHour.objects.filter(pk__in=gone).delete()
    AutomatedHour.objects.bulk_create(
        [AutomatedHour(window_start=start, user_id=user_id) for start, user_id in new], batch_size=2_000
    )
    return sorted({start for start, _ in found ^ known.keys()})


def _found(starts: Sequence[datetime]) -> set[tuple[datetime, str]]:
    table = copy_out(_EVENTS, [list(starts)], _COLUMNS)
    user, users = decoded(table, "user_id")
    types, names = decoded(table, "event_type")
    at = table["at"].to_numpy()
    hour = (at // WINDOW_S).astype(np.int64)
    keys, group = np.unique(hour * max(len(users), 1) + user, return_inverse=True)
    kind = np.array([EVENT_TYPES.index(name) for name in names], np.uint8)[types]
    verdict = automated(group, at, kind, filled(table, "watch_s", np.float32(np.nan)), groups=len(keys))
    hours, codes = np.divmod(keys[verdict], max(len(users), 1))
    starts_s = (hours * WINDOW_S).tolist()
    return {(datetime.fromtimestamp(s, UTC), users[code]) for s, code in zip(starts_s, codes.tolist(), strict=True)}
