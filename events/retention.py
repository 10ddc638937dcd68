"""What retention has taken out of the log, for whoever computes what was known in the past.

What was derived from a month stays when its events go (`partitions.drop_expired`). Nothing here writes.
"""

from collections.abc import Collection
from datetime import UTC, datetime

from django.db import connection
from django.db.models import Max

from events.models import DroppedMonth
from events.partitions import shifted


def log_begins() -> datetime | None:
    """From when on the log has every event; None where retention has dropped nothing yet."""
    newest = DroppedMonth.objects.aggregate(newest=Max("month"))["newest"]
    if newest is None:
        return None
    following = shifted(newest, 1)
    return datetime(following.year, following.month, 1, tzinfo=UTC)


def pasts_dropped(user_ids: Collection[str]) -> dict[str, datetime]:
    """When the log dropped the newest month in which each user did anything; users it dropped nothing of are absent.

    By the sessions, which stay when a month goes. Served by the index session_user_start.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.user_id, max(d.dropped_at) FROM session s JOIN dropped_month d "
            "ON s.started_at < (d.month + interval '1 month') AT TIME ZONE 'UTC' "
            "AND s.ended_at >= d.month::timestamp AT TIME ZONE 'UTC' WHERE s.user_id = ANY(%s) GROUP BY s.user_id",
            [list(user_ids)],
        )
        return dict(cursor.fetchall())
