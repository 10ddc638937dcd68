"""Events of some types over a span, without programs and staff, as columns: what funnels are counted from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa
from django.conf import settings
from numpy.typing import NDArray

from events.cleaning.schema import EVENT_TYPES
from events.copy_out import TEXT, copy_out, decoded

_SELECT: Final = """
    SELECT event_type, user_id, date_part('epoch', "timestamp") FROM event
    WHERE "timestamp" >= %(start)s AND "timestamp" < %(end)s AND event_type = ANY(%(kinds)s)
        AND NOT additional_info ?| '{bot,internal}' AND user_id <> ALL(%(staff)s) AND NOT EXISTS (
            SELECT FROM automated_hour marked WHERE marked.user_id = event.user_id
                AND marked.window_start = date_trunc('hour', event."timestamp", 'UTC'))
    LIMIT %(most)s
"""
_COLUMNS: Final = {"event_type": TEXT, "user_id": TEXT, "at": pa.float64()}


@dataclass(frozen=True, slots=True)
class StepLog:
    """Events in no particular order: int32 codes into `users`, index into EVENT_TYPES, seconds since 1970 UTC."""

    user: NDArray[np.int32]
    kind: NDArray[np.int64]
    at: NDArray[np.float64]
    users: NDArray[np.object_]


def step_log(start: datetime, end: datetime, kinds: Sequence[str], *, most: int) -> StepLog:
    """At most `most` events with `start <= timestamp < end` of these types. Served by the index event_timestamp."""
    values = {"start": start, "end": end, "kinds": list(kinds), "staff": sorted(settings.INTERNAL_USERS), "most": most}
    table = copy_out(_SELECT, values, _COLUMNS)
    code, names = decoded(table, "event_type")
    user, users = decoded(table, "user_id")
    numbers = np.array([EVENT_TYPES.index(name) for name in names.tolist()], np.int64)
    return StepLog(user, numbers[code] if len(numbers) else np.empty(0, np.int64), table["at"].to_numpy(), users)
