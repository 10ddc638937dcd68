"""Take a user out of the log and the catalogue: what they did, what they stated, whom they blocked.

    event, refusal, session, automated_hour, dead_letter, user_profile --> gone, in one transaction

Triggers of the log note the hours that lost events, so everything that is derived from it is counted again. Event ids
stay taken for as long as they are remembered: they name nobody, and what a device sends twice does not come back. What
the user uploaded belongs to the catalogue and stays, as does a suspension, which moderation has imposed.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection, transaction

from events import queries

_TABLES: Final = ("event", "refusal", "session", "automated_hour", "dead_letter", "user_profile")


@dataclass(frozen=True, slots=True)
class Erased:
    """Rows that went, by table, and the moments of the user's first and last event (None without any)."""

    rows: dict[str, int]
    span: tuple[datetime, datetime] | None


def erase_user(user_id: str) -> Erased:
    """Erase; zeros where there was nothing, so it is safe to repeat. Served by event_user_recent and refusal_user."""
    with transaction.atomic():
        span, rows = queries.user_span(user_id), {}
        with connection.cursor() as cursor:
            for table in _TABLES:
                cursor.execute(f"DELETE FROM {table} WHERE user_id = %s", [user_id])  # noqa: S608  constants
                rows[table] = cursor.rowcount
        return Erased(rows, span)
