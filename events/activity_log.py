"""The log for whoever measures days: events as columns with what tells people from programs, and facts about ids.

Reading keeps the server busy and parsing this process, so `activity_log` returns what the server sent, and another
thread may parse it (`ActivityLog.parsed`).
"""

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from django.conf import settings
from django.db import connection
from numpy.typing import NDArray

from events.cleaning.schema import EVENT_TYPES
from events.copy_out import TEXT, copied, copy_out, decoded, filled, parsed

LATE_S: Final = 3600
"""An event that arrives later than this after it happened is a late one."""
PERSON, LATE = 1, 2

_COLUMNS: Final = {
    "event_type": TEXT,
    "user_id": TEXT,
    "content_id": TEXT,
    "at": pa.float64(),
    "watch_s": pa.float64(),
    "surface": TEXT,
    "session_id": TEXT,
    "request_id": TEXT,
    "flags": pa.int8(),
}
_SELECT: Final = """
    SELECT event_type, user_id, content_id, date_part('epoch', event."timestamp"),
           CASE WHEN event_type IN ('view', 'skip') THEN additional_info->>'watch_duration' END,
           additional_info->>'surface', session_id, request_id,
           CASE WHEN additional_info ?| '{bot,internal}' THEN 0 ELSE 1 END
           + CASE WHEN received_at > event."timestamp" + interval '3600 s' THEN 2 ELSE 0 END
    FROM event WHERE event."timestamp" >= %(start)s AND event."timestamp" < %(end)s
"""
# The index over users serves this: event_user_recent.
_REQUESTED: Final = """
    SELECT event_type, user_id, content_id, date_part('epoch', event."timestamp"),
           CASE WHEN event_type = 'view' THEN additional_info->>'watch_duration' END,
           additional_info->>'surface', session_id, event.request_id,
           CASE WHEN additional_info ?| '{bot,internal}' THEN 0 ELSE 1 END
    FROM event JOIN unnest(%(users)s::text[], %(requests)s::uuid[]) AS asked (of_user, request)
        ON event.user_id = asked.of_user AND event.request_id = asked.request
    WHERE event."timestamp" >= %(start)s AND event."timestamp" < %(end)s
"""
_SESSIONS: Final = """
    SELECT user_id, date_part('epoch', started_at), round(date_part('epoch', ended_at - started_at) * 1e3)::bigint,
           views
    FROM session WHERE started_at >= %(start)s AND started_at < %(end)s
"""
_SESSION_COLUMNS: Final = {"user_id": TEXT, "at": pa.float64(), "duration_ms": pa.int64(), "views": pa.int32()}
# Two moments per session and its views: a session that changed changes one of the sums.
_SESSION_MARK: Final = """
    SELECT count(*), coalesce(sum(date_part('epoch', started_at)::numeric), 0),
           coalesce(sum(date_part('epoch', ended_at)::numeric), 0), coalesce(sum(views), 0)
    FROM session WHERE started_at >= %(start)s AND started_at < %(end)s
"""


@dataclass(frozen=True, slots=True)
class Activity:
    """Events of a span in no particular order; all columns have the same length n.

    Attributes
    ----------
    kind : uint8 array, index into EVENT_TYPES
    user, content, surface, session, request : int32 arrays, codes into the vocabularies, -1 where missing
    at : float64 array, seconds since 1970 UTC
    watch_s : float64 array, watched seconds of views and skips, NaN where none are said
    person, late : bool arrays; whether a person did it as far as was known on arrival, and whether it arrived late
    users, contents, surfaces, sessions, requests : object arrays of str
    """

    kind: NDArray[np.uint8]
    user: NDArray[np.int32]
    content: NDArray[np.int32]
    surface: NDArray[np.int32]
    session: NDArray[np.int32]
    request: NDArray[np.int32]
    at: NDArray[np.float64]
    watch_s: NDArray[np.float64]
    person: NDArray[np.bool_]
    late: NDArray[np.bool_]
    users: NDArray[np.object_]
    contents: NDArray[np.object_]
    surfaces: NDArray[np.object_]
    sessions: NDArray[np.object_]
    requests: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.kind)


class ActivityLog:
    """A span of the log as the server sent it."""

    __slots__ = ("_automated", "_buffer")

    def __init__(self, buffer: io.BytesIO, automated: Collection[tuple[str, int]]) -> None:
        self._buffer = buffer
        self._automated = automated

    def parsed(self) -> Activity:
        """The events as columns; needs no database."""
        table = parsed(self._buffer, _COLUMNS)
        names, kinds = decoded(table, "event_type")
        user, users = decoded(table, "user_id")
        content, contents = decoded(table, "content_id")
        surface, surfaces = decoded(table, "surface")
        session, sessions = decoded(table, "session_id")
        request, requests = decoded(table, "request_id")
        flags = table["flags"].to_numpy()
        at = table["at"].to_numpy()
        return Activity(
            kind=np.array([EVENT_TYPES.index(kind) for kind in kinds], np.uint8)[names],
            user=user, content=content, surface=surface, session=session, request=request, at=at,
            watch_s=filled(table, "watch_s", np.float64(np.nan)),
            person=_by_people((flags & PERSON) > 0, user, users, at, self._automated), late=(flags & LATE) > 0,
            users=users, contents=contents, surfaces=surfaces, sessions=sessions, requests=requests,
        )  # fmt: skip


class Visits(NamedTuple):
    """Stored sessions by their start: codes into `users`, start in seconds since 1970, length in ms, views."""

    user: NDArray[np.int32]
    at: NDArray[np.float64]
    duration_ms: NDArray[np.int64]
    views: NDArray[np.int32]
    users: NDArray[np.object_]


class ContentFacts(NamedTuple):
    """What days are broken down by: "" where the catalogue does not say."""

    category: str
    creator_id: str
    uploaded_s: float
    offered: bool


def activity_log(start: datetime, end: datetime) -> ActivityLog:
    """Events with `start <= timestamp < end`. Served by the index event_timestamp."""
    return ActivityLog(copied(_SELECT, {"start": start, "end": end}), _automated(start, end))


def requested(pairs: Collection[tuple[str, str]], start: datetime, end: datetime) -> Activity:
    """Events of a span that belong to these (user, request) pairs. Served by the index event_user_recent."""
    users, requests = [user for user, _ in pairs], [request for _, request in pairs]
    values = {"users": users, "requests": requests, "start": start, "end": end}
    return ActivityLog(copied(_REQUESTED, values), _automated(start, end)).parsed()


def visits(start: datetime, end: datetime) -> Visits:
    """Sessions that start in the span. Served by the index session_start."""
    table = copy_out(_SESSIONS, {"start": start, "end": end}, _SESSION_COLUMNS)
    user, users = decoded(table, "user_id")
    at, duration_ms, views = (table[name].to_numpy() for name in ("at", "duration_ms", "views"))
    return Visits(user, at, duration_ms, views, users)


def session_mark(start: datetime, end: datetime) -> str:
    """A text that is another one once the sessions that start in the span have changed."""
    with connection.cursor() as cursor:
        cursor.execute(_SESSION_MARK, {"start": start, "end": end})
        return " ".join(map(str, cursor.fetchone()))


def content_facts(content_ids: Sequence[str]) -> dict[str, ContentFacts]:
    """Category, creator and upload of contents; unknown ids are absent."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT content_id, CASE WHEN jsonb_typeof(metadata->'category') = 'string' "
            "THEN metadata->>'category' ELSE '' END, creator_id, date_part('epoch', upload_timestamp), "
            "status = 'active' "
            "FROM content WHERE content_id = ANY(%s)",
            [list(content_ids)],
        )
        return {content_id: ContentFacts(*facts) for content_id, *facts in cursor.fetchall()}


def active_contents_uploaded_before(moment: datetime) -> int:
    """How many contents the catalogue offers that were there before a moment."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM content WHERE status = 'active' AND upload_timestamp < %s", [moment])
        return int(cursor.fetchone()[0])


def countries(user_ids: Sequence[str]) -> dict[str, str]:
    """The country in the profile of each user that names one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT user_id, demographics->>'country' FROM user_profile "
            "WHERE user_id = ANY(%s) AND jsonb_typeof(demographics->'country') = 'string'",
            [list(user_ids)],
        )
        return dict(cursor.fetchall())


def _automated(start: datetime, end: datetime) -> frozenset[tuple[str, int]]:
    """Users and hours (since 1970 UTC) in which they behaved like a program."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT user_id, (date_part('epoch', window_start) / 3600)::bigint FROM automated_hour "
            "WHERE window_start > %s - interval '1 hour' AND window_start < %s",
            [start, end],
        )
        return frozenset(cursor.fetchall())


def _by_people(
    person: NDArray[np.bool_],
    user: NDArray[np.int32],
    users: NDArray[np.object_],
    at: NDArray[np.float64],
    automated: Collection[tuple[str, int]],
) -> NDArray[np.bool_]:
    """Without staff by today's settings, and without the hours in which a user behaved like a program."""
    marked = {name for name, _ in automated} | settings.INTERNAL_USERS
    if not marked:
        return person
    code_of = {name: code for code, name in enumerate(users.tolist()) if name in marked}
    staff = [code for name, code in code_of.items() if name in settings.INTERNAL_USERS]
    hour = (at // 3600).astype(np.int64)
    hours = [(code_of[name], number) for name, number in automated if name in code_of]
    key = hour * max(len(users), 1) + user
    marks = [number * max(len(users), 1) + code for code, number in hours]
    return person & ~np.isin(user, staff) & ~np.isin(key, marks)


def minute_counts(start: datetime, end: datetime) -> dict[datetime, tuple[int, int, int, int]]:
    """Events, views, impressions and distinct users of each minute that has any. Served by event_timestamp."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT date_trunc('minute', \"timestamp\", 'UTC'), count(*), count(*) FILTER (WHERE event_type = 'view'), "
            "count(*) FILTER (WHERE event_type = 'impression'), count(DISTINCT user_id) "
            'FROM event WHERE "timestamp" >= %s AND "timestamp" < %s GROUP BY 1',
            [start, end],
        )
        return {minute: tuple(counts) for minute, *counts in cursor.fetchall()}
