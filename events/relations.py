"""Whom a user follows and what a user hid, written as events: the log stays the only place that knows.

    PUT follows/k1 --> is the last word about k1 "follow"? nothing to do : a `follow` event --> ingest

An event's id is made of the user, the thing and the last word about it. So a request that is sent twice, or by two
devices at once, makes one event; and following again after an unfollow makes a new one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID, uuid5

from django.conf import settings
from django.db import connection

from events.cleaning.rules import Sending
from events.errors import InvalidRequest
from events.ingestion import ingest

Relation = Literal["follows", "hidden"]
_NAMESPACE: Final = UUID("5f3c2f0c-7d0a-4f1e-9a53-2f7a4f1f6c11")
"""Arbitrary and fixed: ids of another purpose never meet those made here."""
_TICK: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a relation is told: the events that make and end it, the field that names the thing, who remembers it."""

    begins: str
    ends: str
    field: str
    remembered: str


# Months that left the log keep their refusals, and only these.
_KINDS: Final[Mapping[Relation, _Kind]] = {
    "follows": _Kind("follow", "unfollow", "creator_id", ""),
    "hidden": _Kind(
        "hide", "unhide", "content_id",
        "UNION ALL SELECT event_id, event_type, \"timestamp\" FROM refusal "
        "WHERE user_id = %(user)s AND event_type = ANY(%(types)s) AND content_id = %(target)s",
    ),
}  # fmt: skip
_LAST_WORD: Final = """
    SELECT event_id, event_type, "timestamp" FROM (
        SELECT event_id, event_type, "timestamp" FROM event
        WHERE user_id = %(user)s AND event_type = ANY(%(types)s) AND {field} = %(target)s {remembered}
    ) word ORDER BY "timestamp" DESC, event_id DESC LIMIT 1
"""


def set_relation(
    user_id: str, target_id: str, relation: Relation, *, present: bool, now: datetime, anonymous: bool = False
) -> bool:
    """Make a relation or end it; True when that needed an event.

    Served by the indexes event_user_recent and, for what was hidden, event_refused.

    Raises
    ------
    InvalidRequest : the log refuses such an event, with the log's own code
    """
    kind = _KINDS[relation]
    last = _last_word(user_id, target_id, kind)
    if (last is not None and last[1] == kind.begins) == present:
        return False
    event_type = kind.begins if present else kind.ends
    # The last word may carry the time of a clock that is ahead, and this one must come after it.
    moment = now if last is None else max(now, last[2] + _TICK)
    raw = {
        "event_id": str(uuid5(_NAMESPACE, "\n".join((user_id, event_type, target_id, str(last and last[0]))))),
        "event_type": event_type,
        "user_id": user_id,
        kind.field: target_id,
        "timestamp": moment.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }
    sending = Sending(anonymous=anonymous, internal=settings.INTERNAL_USERS)
    report = ingest([raw], now=moment, source="api", sending=sending, keep_rejected=False)
    for rejection in report.rejected:
        raise InvalidRequest(rejection.detail, code=rejection.code)
    return report.accepted == 1


def followed_creators(user_id: str) -> frozenset[str]:
    """Creators whom a user follows now, by all that the log holds. Served by the index event_user_recent."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT creator_id FROM (SELECT DISTINCT ON (creator_id) creator_id, event_type FROM event "
            "WHERE user_id = %s AND event_type IN ('follow', 'unfollow') "
            "ORDER BY creator_id, \"timestamp\" DESC, event_id DESC) word WHERE event_type = 'follow'",
            [user_id],
        )
        return frozenset(creator for (creator,) in cursor.fetchall())


def _last_word(user_id: str, target_id: str, kind: _Kind) -> Any:
    """Id, type and time of the last event about a relation; None where there is none."""
    statement = _LAST_WORD.format(field=kind.field, remembered=kind.remembered)
    with connection.cursor() as cursor:
        cursor.execute(statement, {"user": user_id, "types": [kind.begins, kind.ends], "target": target_id})
        return cursor.fetchone()
