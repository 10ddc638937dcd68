"""All that a feed must know of one user, in one statement: the history, what was met before it, and the profile."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
from django.db import connection

from events.columnar.history import History
from events.queries import history_of


@dataclass(frozen=True, slots=True)
class UserPast:
    """What is known of one user.

    Attributes
    ----------
    history : as `queries.recent_history`
    older : content id to the last time (seconds since 1970 UTC) of what was met before the history begins
    follows : creators followed before the history begins
    demographics, preferences : of the profile, empty without one
    begins : seconds since 1970 UTC; what the user did before was reset, and chooses nothing any more
    """

    history: History
    older: Mapping[str, float] = field(default_factory=dict)
    follows: frozenset[str] = frozenset()
    demographics: Mapping[str, Any] = field(default_factory=dict)
    preferences: Mapping[str, Any] = field(default_factory=dict)
    begins: float = -math.inf


# Ids as text: they only tell events apart, and making objects of them takes as long as all else of a row.
STATEMENT: Final = (
    "SELECT is_recent, event_id::text, event_type, content_id, creator_id, at, watch_s, long_view, surface, older, "
    "older_at, follows, demographics, preferences, updated_at, history_from FROM user_past(%s, %s, %s)"
)
"""Of a user id, how many events, and since when; for whoever reads more of the user by the same query."""
COLUMNS: Final = 16
MOST_EVENTS: Final = 1_000


def user_past(user_id: str, *, since: datetime, limit: int = MOST_EVENTS) -> UserPast:
    """The past of one user; what is older than the last `limit` events is read back to `since`, as ids only.

    Served by the indexes of `recent_history`, and for users with more than `limit` events by event_user_recent again.
    """
    with connection.cursor() as cursor:
        cursor.execute(STATEMENT, [user_id, limit, since])
        return past_of(cursor.fetchall())


def past_of(rows: list[tuple[Any, ...]]) -> UserPast:
    """The past that `STATEMENT` answers; takes the last row off the list."""
    # One column dates the profile; whoever asks for a moment of the past reads `UserProfile.stated_before`.
    *_, older, older_at, follows, demographics, preferences, _, begins = rows.pop()
    return UserPast(
        history_of(row[:9] for row in rows),
        times_of(older, older_at),
        frozenset(follows or ()),
        _document(demographics),
        _document(preferences),
        -math.inf if begins is None else begins,
    )


def times_of(ids: str | None, times: str | None) -> dict[str, float]:
    """Ids with a time each, from two texts as `string_agg` made them: separated by unit separators, and by commas.

    >>> times_of("a\\x1fb", "1.5,2"), times_of(None, None)
    ({'a': 1.5, 'b': 2.0}, {})
    """
    if not ids or not times:
        return {}
    return dict(zip(ids.split("\x1f"), map(float, times.split(",")), strict=True))


def ids_of(ids: str | None) -> frozenset[str]:
    """Ids from a text as `string_agg` made it.

    >>> sorted(ids_of("a\\x1fb")), ids_of(None)
    (['a', 'b'], frozenset())
    """
    return frozenset(ids.split("\x1f")) if ids else frozenset()


def _document(text: str | None) -> Mapping[str, Any]:
    value = msgspec.json.decode(text) if text else {}
    return value if isinstance(value, dict) else {}
