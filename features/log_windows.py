"""The hours of the log as the feature store has taken them in: which there are, how far they reach.

Which hours are due is decided by `events.windows`; this reads what became of them.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from django.db import connection
from django.db.models import Max, Sum
from numpy.typing import NDArray

from features.extraction.definitions import WINDOW_S
from features.models import ContentWindow

FAMILY = "features"
"""Under this name the feature store takes in hours, see `events.windows`."""

_VERSIONS: Final = """
    SELECT (extract(epoch FROM window_start) / %s)::bigint, events, xmin::text::bigint FROM content_window ORDER BY 1
"""


def moment(window: int) -> datetime:
    """Start of an hour given as hours since 1970 UTC."""
    return datetime.fromtimestamp(window * WINDOW_S, UTC)


def newest_as_of() -> datetime | None:
    """Up to where the store knows the log: the end of its last hour, or the start of the running one; None at first."""
    newest: datetime | None = ContentWindow.objects.aggregate(newest=Max("window_start"))["newest"]
    if newest is None:
        return None
    running = ContentWindow.objects.filter(window_start=newest, folded=False).exists()
    return newest if running else newest + timedelta(seconds=WINDOW_S)


def filled_hours() -> NDArray[np.int64]:
    """Numbers of the hours that the counter states know, ascending: the hours of their clock."""
    starts = ContentWindow.objects.filter(folded=True).order_by("window_start").values_list("window_start", flat=True)
    return np.array([start.timestamp() // WINDOW_S for start in starts], np.int64)


def filled_versions() -> NDArray[np.int64]:
    """Hours as they were taken in, int64 (h, 3), ascending.

    Per hour its number, its events, and a number that is another one once the hour was taken in again: the transaction
    that wrote its row.
    """
    with connection.cursor() as cursor:
        cursor.execute(_VERSIONS, [WINDOW_S])
        return np.array(cursor.fetchall(), np.int64).reshape(-1, 3)


def filled_events() -> int:
    """Events that the store has taken in."""
    return ContentWindow.objects.aggregate(events=Sum("events"))["events"] or 0
