"""Reads of the log and the catalogue for other apps: columns for bulk readers, one indexed query for serving.

Nothing here writes.
"""

import io
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

import msgspec
import numpy as np
import pyarrow as pa
from django.conf import settings
from django.db import connection
from django.db.models import BooleanField, Exists, Max, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from numpy.typing import NDArray

from events.cleaning.audience import LEAST_AGE, Audience, Restrictions, is_sensitive, stricter
from events.cleaning.schema import EVENT_TYPES
from events.columnar.history import History
from events.columnar.interactions import ABSENT, ContentTable, Interactions
from events.copy_out import TEXT, copied, copy_out, decoded, filled, parsed
from events.models import Content, ContentVector, Event, EventId, Session, Suspension, UserProfile

COUNT_EXACTLY_BELOW: Final = 100_000
_CODE_OF: Final = {name: code for code, name in enumerate(EVENT_TYPES)}
_LOG_COLUMNS: Final = {
    "event_type": TEXT,
    "user_id": TEXT,
    "content_id": TEXT,
    "creator_id": TEXT,
    "timestamp": pa.float64(),
    "watch_s": pa.float32(),
    "long_view": pa.int8(),
    "session_id": TEXT,
    "request_id": TEXT,
    "surface": TEXT,
    "position": pa.int16(),
}
ANYBODY: Final = Audience()
"""Somebody of whom nothing is known."""
_ANYWHERE: Final = Q(geo_allow=[], geo_deny=[], imposed_geo_deny=[])
_LONG_VIEW: Final = {None: -1, "false": 0, "true": 1}
_SELECT_LOG: Final = """
    SELECT event_type, user_id, content_id, creator_id, date_part('epoch', event."timestamp") AS timestamp,
           additional_info->>'watch_duration' AS watch_s,
           CASE additional_info->>'long_view' WHEN 'true' THEN 1 WHEN 'false' THEN 0 END AS long_view,
           session_id, request_id, additional_info->>'surface' AS surface, position
    FROM event
"""

# Of months that are gone, what users refused is kept.
_EVENTS_AND_REFUSALS: Final = """
    FROM (
        SELECT event_id, event_type, user_id, content_id, creator_id, "timestamp", additional_info, session_id,
               request_id, position FROM event
        UNION ALL
        SELECT event_id, event_type, user_id, content_id, creator_id, "timestamp", '{}', NULL, NULL, NULL FROM refusal
    ) AS event
"""
_PEOPLE: Final = """
    NOT (additional_info ?| '{bot,internal}') AND user_id <> ALL(%s::text[]) AND NOT EXISTS (
        SELECT FROM automated_hour marked
        WHERE marked.window_start = date_trunc('hour', event."timestamp", 'UTC') AND marked.user_id = event.user_id
    )
"""

HOUR_S: Final = 3600.0
_COUNTING_COLUMNS: Final = {
    "event_type": TEXT,
    "user_id": TEXT,
    "content_id": TEXT,
    "hour": pa.int32(),
    "watch_s": pa.float32(),
    "long_view": pa.int8(),
    "surface": TEXT,
    "position": pa.int16(),
}
_SELECT_COUNTING: Final = """
    SELECT event_type, user_id, content_id, floor(date_part('epoch', event."timestamp") / 3600)::int,
           CASE WHEN event_type = 'view' THEN additional_info->>'watch_duration' END,
           CASE WHEN event_type = 'view'
                THEN CASE additional_info->>'long_view' WHEN 'true' THEN 1 WHEN 'false' THEN 0 END END,
           additional_info->>'surface', position
    FROM event WHERE event."timestamp" >= %s AND event."timestamp" < %s
"""


@dataclass(frozen=True, slots=True)
class ContentCard:
    """What a feed shows of one content. `uploaded_s` in seconds since 1970 UTC; `expired` at the moment of reading."""

    content_id: str
    creator_id: str
    caption: str
    tags: tuple[str, ...]
    category: str
    duration_s: float | None
    language: str
    media_url: str
    thumbnail_url: str
    status: str
    uploaded_s: float
    expired: bool

    @property
    def is_shown(self) -> bool:
        """Whether it is neither withdrawn nor expired."""
        return self.status == "active" and not self.expired


@dataclass(frozen=True, slots=True)
class Visit:
    """One session of a user; see `models.Session`."""

    started_at: datetime
    ended_at: datetime
    device: str
    events: int
    views: int
    watch_s: float


@dataclass(frozen=True, slots=True)
class ContentSource:
    """What can be understood of one content: `text` is caption and tags."""

    content_id: str
    text: str
    category: str
    media_url: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Counts:
    """Size of what is stored; `events` is the planner's estimate, because counting millions takes seconds."""

    users: int
    contents: int
    active_contents: int
    events: int


def interactions_between(
    start: datetime | None,
    end: datetime,
    *,
    types: Collection[str] | None = None,
    people_only: bool = False,
    refusals: bool = False,
) -> Interactions:
    """Events with `start <= timestamp < end`, ordered by (timestamp, event id), as columns.

    `start=None` reads from the beginning of the log; `types` restricts to some event types; `people_only` leaves out
    bots and staff: what was marked on arrival, whoever is staff by the settings of today, and the hours in which a user
    behaved like a program (`traffic`); `refusals` adds what users refused in months that the log has dropped, as
    `recent_history` does. Served by the index event_timestamp.
    """
    unknown = set(types or ()) - _CODE_OF.keys()
    if unknown:
        raise ValueError(f"types must be among EVENT_TYPES; got {sorted(unknown)}")
    values: list[Any] = [end]
    clauses = ['event."timestamp" < %s']
    if start is not None:
        clauses.append('event."timestamp" >= %s')
        values.append(start)
    if types is not None:
        clauses.append("event_type = ANY(%s)")
        values.append(sorted(types))
    if people_only:
        clauses.append(_PEOPLE)
        values.append(sorted(settings.INTERNAL_USERS))
    # Ordered by seconds, not by the column: in order of the column the planner walks the index and fetches each row at
    # random, three times slower than reading and sorting (1.2 million events: 4.7 against 1.5 s).
    statement = (
        f"{_SELECT_LOG} WHERE {' AND '.join(clauses)} ORDER BY date_part('epoch', event.\"timestamp\"), event_id"
    )
    if refusals:
        statement = statement.replace("\n    FROM event\n", _EVENTS_AND_REFUSALS, 1)
    table = copy_out(statement, values, _LOG_COLUMNS)
    type_codes, type_names = decoded(table, "event_type")
    to_code = np.array([_CODE_OF[name] for name in type_names], dtype=np.uint8)
    user, users = decoded(table, "user_id")
    content, contents = decoded(table, "content_id")
    creator, creators = decoded(table, "creator_id")
    session, sessions = decoded(table, "session_id")
    request, requests = decoded(table, "request_id")
    surface, surfaces = decoded(table, "surface")
    return Interactions(
        event_type=to_code[type_codes],
        user=user,
        content=content,
        creator=creator,
        timestamp=table["timestamp"].to_numpy(),
        watch_s=filled(table, "watch_s", np.float32(np.nan)),
        long_view=filled(table, "long_view", np.int8(-1)),
        session=session,
        request=request,
        users=users,
        contents=contents,
        creators=creators,
        sessions=sessions,
        requests=requests,
        surface=surface,
        position=filled(table, "position", np.int16(ABSENT)),
        surfaces=surfaces,
    )


class CountingLog:
    """Events of a span as the server sent them; `parsed` makes columns of them, which can be done by another thread.

    Reading keeps the server busy and parsing this process, so whoever reads several spans can do both at once.
    """

    __slots__ = ("_buffer",)

    def __init__(self, buffer: io.BytesIO) -> None:
        self._buffer = buffer

    def parsed(self) -> Interactions:
        """The events in no particular order, dated by their hour, without creators, sessions and requests."""
        table = parsed(self._buffer, _COUNTING_COLUMNS)
        type_codes, type_names = decoded(table, "event_type")
        to_code = np.array([_CODE_OF[name] for name in type_names], dtype=np.uint8)
        user, users = decoded(table, "user_id")
        content, contents = decoded(table, "content_id")
        surface, surfaces = decoded(table, "surface")
        absent, nothing = np.full(len(user), ABSENT, np.int32), np.empty(0, object)
        return Interactions(
            event_type=to_code[type_codes],
            user=user,
            content=content,
            creator=absent,
            timestamp=table["hour"].to_numpy().astype(np.float64) * HOUR_S,
            watch_s=filled(table, "watch_s", np.float32(np.nan)),
            long_view=filled(table, "long_view", np.int8(-1)),
            session=absent,
            request=absent,
            users=users,
            contents=contents,
            creators=nothing,
            sessions=nothing,
            requests=nothing,
            surface=surface,
            position=filled(table, "position", np.int16(ABSENT)),
            surfaces=surfaces,
        )


def counting_log(start: datetime, end: datetime) -> CountingLog:
    """Events with `start <= timestamp < end` for whoever counts them by the hour.

    Served by the index event_timestamp.
    """
    return CountingLog(copied(_SELECT_COUNTING, [start, end]))


def recent_history(user_id: str, *, limit: int = 1000) -> History:
    """The last `limit` events of one user, and everything the user ever refused before them, oldest first.

    Uploads are left out, as they say nothing about taste. Served by the indexes event_user_recent, event_refused and
    refusal_user, the last for months that the log has dropped.

    The function that is called (migration 0004) keeps its plan for the life of a connection: to plan a statement over
    sixty partitions takes ten times as long as to run it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM user_history(%s, %s)", [user_id, limit])
        return history_of(cursor.fetchall())


def history_of(rows: Iterable[tuple[Any, ...]]) -> History:
    """Rows of `recent_history` as columns, each event once.

    A row is (whether it is a recent one, not only a refusal; event id, type, content, creator, epoch seconds, watched
    seconds as text, long view as text, surface).
    """
    # A refusal may be among the recent events as well, and these tell more.
    found = {row[1]: row[1:] for row in sorted(rows, key=itemgetter(0))}
    if not found:
        return History.empty()
    ordered = sorted(found.values(), key=itemgetter(4, 0))
    _, types, contents, creators, times, watched, long_views, surfaces = zip(*ordered, strict=True)
    return History(
        event_type=np.array([_CODE_OF[name] for name in types], dtype=np.uint8),
        content_id=_texts(contents),
        creator_id=_texts(creators),
        timestamp=np.array(times, dtype=np.float64),
        watch_s=np.array([np.nan if watch is None else float(watch) for watch in watched], dtype=np.float32),
        long_view=np.array([_LONG_VIEW[flag] for flag in long_views], dtype=np.int8),
        surface=_texts(surfaces),
    )


def feedback_of(
    user_ids: Collection[str], *, types: Collection[str], until: datetime
) -> dict[str, list[tuple[str, str, str, str]]]:
    """Events of some types of some users, oldest first: (type, category, creator, language) by user.

    Category and language are the content's; the creator is the one the event names, else the content's; "" where
    unknown. What a user has reset is left out. Served by the index event_user_recent.
    """
    found: dict[str, list[tuple[str, str, str, str]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.user_id, e.event_type, coalesce(c.metadata->>'category', ''), "
            "coalesce(e.creator_id, c.creator_id, ''), coalesce(c.language, '') "
            "FROM event e LEFT JOIN content c USING (content_id) LEFT JOIN user_profile p USING (user_id) "
            'WHERE e.user_id = ANY(%s) AND e.event_type = ANY(%s) AND e."timestamp" < %s '
            'AND (p.history_from IS NULL OR e."timestamp" >= p.history_from) '
            'ORDER BY e."timestamp", e.event_id',
            [list(user_ids), list(types), until],
        )
        for user, *row in cursor.fetchall():
            found.setdefault(user, []).append(tuple(row))
    return found


def log_span() -> tuple[datetime, datetime] | None:
    """Time of the first and of the last event; None while the log is empty. Two reads of event_timestamp."""
    with connection.cursor() as cursor:
        cursor.execute('SELECT min("timestamp"), max("timestamp") FROM event')
        first, last = cursor.fetchone()
    return None if first is None else (first, last)


def user_span(user_id: str) -> tuple[datetime, datetime] | None:
    """Moments of the first and the last event of one user; None where the log has none."""
    found = Event.objects.filter(user_id=user_id).aggregate(first=Min("timestamp"), last=Max("timestamp"))
    return None if found["first"] is None else (found["first"], found["last"])


def catalogue_table(
    *, changed_since: datetime | None = None, content_ids: Collection[str] | None = None
) -> ContentTable:
    """The whole catalogue as columns, contents that are not active included; or what changed at or after a moment.

    The latter is served by the index content_updated. With `content_ids` only those of them that there are.
    """
    limits: dict[str, datetime | list[str]] = {}
    if changed_since is not None:
        limits["updated_at >= %s"] = changed_since
    if content_ids is not None:
        limits["content_id = ANY(%s)"] = list(content_ids)
    where = f"WHERE {' AND '.join(limits)}" if limits else ""
    with connection.cursor() as cursor:
        # COLLATE "C" is the order in which Python and numpy sort text, whatever the server's locale.
        cursor.execute(
            "SELECT content_id, creator_id, metadata, language, date_part('epoch', upload_timestamp), duration_s, "  # noqa: S608
            "status = 'active' AND feed_eligible AND (expires_at IS NULL OR expires_at > statement_timestamp()) "
            f'FROM content {where} ORDER BY content_id COLLATE "C"',
            list(limits.values()),
        )
        rows = cursor.fetchall()
    ids, creators, metadata, languages, uploads, durations, active = zip(*rows, strict=True) if rows else ((),) * 7
    documents = [msgspec.json.decode(json) for json in metadata]
    described = [text_of(each) for each in documents]
    return ContentTable(
        content_id=_texts(ids),
        creator_id=_texts(creators),
        category=_texts([category for _, category in described]),
        language=_texts(languages),
        text=_texts([text for text, _ in described]),
        upload_timestamp=np.array(uploads, dtype=np.float64),
        duration_s=np.array([np.nan if length is None else length for length in durations], dtype=np.float32),
        active=np.array(active, dtype=np.bool_),
        sound=np.array([sound_code(each) for each in documents], dtype=np.int32),
    )


def durations() -> dict[str, float]:
    """Seconds of every content of the catalogue, NaN where they are unknown."""
    # Plain SQL, because the feature store asks for all of them at every tick.
    with connection.cursor() as cursor:
        cursor.execute("SELECT content_id, coalesce(duration_s, 'NaN') FROM content")
        return dict(cursor.fetchall())


def catalogue_changed_at() -> datetime | None:
    """When the catalogue last changed; None while it is empty."""
    newest: datetime | None = Content.objects.aggregate(newest=Max("updated_at"))["newest"]
    return newest


def content_changes(since: datetime | None, *, newest: int | None = None) -> dict[str, datetime]:
    """Contents that changed at or after a moment, or all of them, and when each did; at most the `newest` so many."""
    rows = Content.objects.all() if since is None else Content.objects.filter(updated_at__gte=since)
    if newest is not None:
        rows = rows.order_by("-updated_at")[:newest]
    return dict(rows.values_list("content_id", "updated_at"))


def uploads(content_ids: Collection[str]) -> dict[str, tuple[float, float]]:
    """When contents were uploaded, and their rows written last, in seconds since 1970 UTC; unknown ids are absent."""
    rows = Content.objects.filter(content_id__in=list(content_ids))
    moments = rows.values_list("content_id", "upload_timestamp", "updated_at")
    return {content_id: (up.timestamp(), written.timestamp()) for content_id, up, written in moments}


def content_sources(content_ids: Collection[str]) -> list[ContentSource]:
    """What can be understood of the given contents; unknown ids are absent."""
    rows = Content.objects.filter(content_id__in=list(content_ids))
    sources = []
    for content_id, metadata, media_url, updated_at in rows.values_list(
        "content_id", "metadata", "media_url", "updated_at"
    ):
        text, category = text_of(metadata)
        sources.append(ContentSource(content_id, text, category, media_url, updated_at))
    return sources


def newest_contents(limit: int, audience: Audience = ANYBODY) -> list[str]:
    """Ids of the newest active uploads that an audience may see, newest first. Served by the index content_newest.

    Only age and country narrow what is read; of the rest, `eligible_cards` judges.
    """
    return list(newest(audience).values_list("content_id", flat=True)[:limit])


def newest(audience: Audience) -> QuerySet[Content]:
    """The rows of `newest_contents`, for whoever knows more of them."""
    ratings = [rating for rating, least in LEAST_AGE.items() if least == 0 or (audience.age or 0) >= least]
    released = _released(Content.objects.filter(age_rating__in=ratings, imposed_age_rating__in=ratings))
    here = Q(geo_allow=[]) | Q(geo_allow__contains=[audience.country])
    denied = Q(geo_deny__contains=[audience.country]) | Q(imposed_geo_deny__contains=[audience.country])
    return released.filter(here & ~denied if audience.country else _ANYWHERE).order_by("-upload_timestamp")


def eligible(content_ids: Collection[str]) -> set[str]:
    """Those of the given contents that may be shown right now; a failing database raises, it never guesses."""
    active = _released(Content.objects.filter(content_id__in=list(content_ids)))
    return set(active.values_list("content_id", flat=True))


def _not_stopped() -> RawSQL:
    return RawSQL(_RUNNING, [], output_field=BooleanField())  # noqa: S611  a constant  # nosec B611


def running(content_id: str) -> bool:
    """Whether no emergency stop keeps a content from everybody."""
    return Content.objects.filter(_not_stopped(), content_id=content_id).exists()


def eligible_cards(content_ids: Collection[str], audience: Audience = ANYBODY) -> dict[str, ContentCard]:
    """Cards of those of the given contents that an audience may see right now: eligibility and display in one query."""
    return _cards(content_ids, audience)


def content_cards(content_ids: Collection[str]) -> dict[str, ContentCard]:
    """Cards of the given contents, whatever their moderation state; unknown ids are absent."""
    return _cards(content_ids, None)


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment of the log: who wrote what, on which content."""

    comment_id: str
    author_id: str
    content_id: str
    text: str


def comment(comment_id: UUID) -> Comment | None:
    """A comment by the id of its event; None where there is none, or where it is older than ids are remembered.

    Never looks further: an id that somebody makes up must not have the whole log read.
    """
    at = EventId.objects.filter(pk=comment_id).values_list("timestamp", flat=True).first()
    found = Event.objects.filter(event_id=comment_id, timestamp=at, event_type="comment").first() if at else None
    if found is None:
        return None
    text = str(found.additional_info.get("comment_text", ""))
    return Comment(str(found.event_id), found.user_id, found.content_id or "", text)


def user_known(user_id: str) -> bool:
    """Whether anything is known of a user: a profile, an upload or an event; at most three index lookups."""
    return (
        UserProfile.objects.filter(user_id=user_id).exists()
        or Content.objects.filter(creator_id=user_id).exists()
        or Event.objects.filter(user_id=user_id).exists()
    )


def suspended_until(user_id: str) -> tuple[bool, datetime | None]:
    """Whether a user is suspended at this moment, and until when; (True, None) is without an end."""
    row = Suspension.objects.filter(user_id=user_id).filter(Q(until=None) | Q(until__gt=Now())).first()
    return (False, None) if row is None else (True, row.until)


def contents_of(creator_id: str, *, limit: int) -> list[ContentCard]:
    """The newest contents of a creator, whatever their moderation state. Served by the index on the creator."""
    newest = Content.objects.filter(creator_id=creator_id).order_by("-upload_timestamp")[:limit]
    cards = content_cards([row.content_id for row in newest])
    return [cards[row.content_id] for row in newest if row.content_id in cards]


def reports_between(start: datetime, end: datetime) -> list[tuple[str, str, str, datetime]]:
    """Reports of contents in the log: (user, content, reason, time), in order of time; by event_reports."""
    rows = Event.objects.filter(timestamp__gte=start, timestamp__lt=end, event_type="report", content_id__isnull=False)
    listed = rows.order_by("timestamp", "event_id").values_list("user_id", "content_id", "additional_info", "timestamp")
    return [(user, content or "", str(info.get("reason", "")), at) for user, content, info, at in listed]


def content(content_id: str) -> Mapping[str, Any] | None:
    """One content with all its columns, and the space of the vector it was given; None where there is none."""
    space = ContentVector.objects.filter(content_id=OuterRef("content_id")).values("space")
    return Content.objects.filter(content_id=content_id).annotate(embedding_space=Subquery(space)).values().first()


def event(event_id: UUID, *, at: datetime | None = None) -> Event | None:
    """One event of the log by its id; `at` is its time, where the caller knows it.

    The log has no index on ids. The table of ids knows the time of what came in lately, and with a time it is one
    look into event_timestamp; only what neither knows has the whole log read.
    """
    at = at or EventId.objects.filter(pk=event_id).values_list("timestamp", flat=True).first()
    rows = Event.objects.filter(event_id=event_id)
    found = None if at is None else rows.filter(timestamp=at).first()
    return found or rows.first()


def profile(user_id: str) -> Mapping[str, Any] | None:
    """One user's profile with all its columns; None where there is none."""
    return UserProfile.objects.filter(user_id=user_id).values().first()


def recent_sessions(user_id: str, *, limit: int) -> list[Visit]:
    """The last sessions of one user, newest first. Served by the index session_user_start."""
    rows = Session.objects.filter(user_id=user_id).order_by("-started_at")[:limit]
    return [Visit(row.started_at, row.ended_at, row.device, row.events, row.views, row.watch_s) for row in rows]


def profiles(user_ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """Profiles of the given users with all their columns; users without one are absent."""
    return {row["user_id"]: row for row in UserProfile.objects.filter(user_id__in=list(user_ids)).values()}


def demo_personas(limit: int = 6) -> list[tuple[str, str]]:
    """Users seeded for the demo, as (user id, label): ids that start with "demo-", in order of id."""
    demo = UserProfile.objects.filter(user_id__startswith="demo-").order_by("user_id")[:limit]
    return [(row.user_id, str(_persona(row.preferences) or _persona(row.demographics) or row.user_id)) for row in demo]


def _persona(document: Any) -> Any:
    return document.get("persona") if isinstance(document, dict) else None


def counts() -> Counts:
    """How much is stored."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM user_profile), (SELECT count(*) FROM content), "
            "(SELECT count(*) FROM content WHERE status = 'active'), "
            "(SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_inherits JOIN pg_class ON oid = inhrelid "
            " WHERE inhparent = 'event'::regclass)"
        )
        users, contents, active, events = cursor.fetchone()
        # The estimate knows nothing of a partition before its first vacuum and is vague for a small one, where counting
        # is cheap.
        if events < COUNT_EXACTLY_BELOW:
            cursor.execute("SELECT count(*) FROM event")
            (events,) = cursor.fetchone()
    return Counts(users, contents, active, events)


def _released(rows: QuerySet[Content]) -> QuerySet[Content]:
    """Those of some contents that moderation lets into feeds at this moment, by the database's clock."""
    suspended = Suspension.objects.filter(user_id=OuterRef("creator_id")).filter(Q(until=None) | Q(until__gt=Now()))
    current = Q(expires_at=None) | Q(expires_at__gt=Now())
    return rows.filter(~Exists(suspended), current, _not_stopped(), status="active", feed_eligible=True)


_SELECT_CARDS: Final = """
    SELECT content_id, creator_id, metadata, nullif(duration_s, 'NaN'), language, media_url, thumbnail_url, status,
           age_rating, imposed_age_rating, geo_allow, geo_deny || imposed_geo_deny,
           date_part('epoch', upload_timestamp), coalesce(expires_at <= statement_timestamp(), false)
    FROM content WHERE content_id = ANY(%s)
"""
# Stops are few, and mostly there are none: that costs a look into an empty index per content.
_RUNNING: Final = """NOT EXISTS (
    SELECT FROM emergency_stop s WHERE s.lifted_at IS NULL AND (
        s.kind = 'content' AND s.value = content.content_id OR s.kind = 'creator' AND s.value = content.creator_id
        OR s.kind = 'sound' AND s.value = content.metadata->>'sound_id'
        OR s.kind = 'tag' AND jsonb_typeof(content.metadata->'tags') = 'array' AND EXISTS (
            SELECT FROM jsonb_array_elements_text(content.metadata->'tags') t
            WHERE lower(trim(ltrim(trim(t), '#'))) = s.value)))"""
# `_released` in the words of the database; a test holds them together.
RELEASED: Final = f"""
    AND status = 'active' AND feed_eligible AND (expires_at IS NULL OR expires_at > statement_timestamp())
    AND NOT EXISTS (
        SELECT FROM suspension
        WHERE suspension.user_id = content.creator_id AND (until IS NULL OR until > statement_timestamp()))
    AND {_RUNNING}
"""


def _cards(content_ids: Collection[str], audience: Audience | None) -> dict[str, ContentCard]:
    """Cards of contents; with an audience, of those only that it may see.

    By hand: every feed asks for a page and its spare ones, and model instances of them cost as much as the query.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SELECT_CARDS + ("" if audience is None else RELEASED), [list(content_ids)])
        rows = cursor.fetchall()
    cards = {}
    for content_id, creator_id, metadata, duration_s, language, media, thumbnail, status, *limited in rows:
        document = msgspec.json.decode(metadata)
        caption, tags, category = describe(document)
        own_rating, imposed_rating, allow, deny, uploaded_s, expired = limited
        limits = Restrictions(stricter(own_rating, imposed_rating), tuple(allow), tuple(deny))
        facts = {"creator_id": creator_id, "category": category, "language": language}
        if audience is not None and not audience.may_see(limits, **facts, sensitive=is_sensitive(document)):
            continue
        cards[content_id] = ContentCard(
            content_id, creator_id, caption, tags, category, duration_s, language, media, thumbnail, status,
            uploaded_s, expired,
        )  # fmt: skip
    return cards


def describe(metadata: Any) -> tuple[str, tuple[str, ...], str]:
    """Caption, tags and category of a content's metadata; whatever is not text counts as absent.

    A content without a caption is called by its title.
    """
    if not isinstance(metadata, dict):
        return "", (), ""
    caption, tags, category = metadata.get("caption"), metadata.get("tags"), metadata.get("category")
    return (
        caption if isinstance(caption, str) else _title(metadata),
        tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
        category if isinstance(category, str) else "",
    )


def _title(metadata: Mapping[str, Any]) -> str:
    title = metadata.get("title")
    return title if isinstance(title, str) else ""


def text_of(metadata: Any) -> tuple[str, str]:
    """What a content says of itself, for whoever understands text, and its category."""
    caption, tags, category = describe(metadata)
    title = _title(metadata) if isinstance(metadata, dict) else ""
    return " ".join(filter(None, (title if title != caption else "", caption, *tags))).strip(), category


def sound_code(metadata: Any) -> int:
    """What contents with one `sound_id` share: 31 bits of it, `ABSENT` for none.

    Two of 100,000 sounds share a code by chance, and then wait for each other; a vocabulary would have to grow with
    every upload.

    >>> sound_code({"sound_id": "s1"}) == sound_code({"sound_id": "s1", "title": "b"}), sound_code({}), sound_code([])
    (True, -1, -1)
    """
    sound = metadata.get("sound_id") if isinstance(metadata, dict) else None
    named = isinstance(sound, str | int) and not isinstance(sound, bool) and sound != ""
    return zlib.crc32(str(sound).encode(errors="replace")) & 0x7FFF_FFFF if named else ABSENT


def _texts(values: Sequence[str | None]) -> NDArray[np.object_]:
    """An object array of texts, "" for NULL."""
    column = np.empty(len(values), dtype=object)
    column[:] = [value or "" for value in values]
    return column


def count_between(start: datetime, end: datetime) -> int:
    """How many events have `start <= timestamp < end`; one index-only pass over event_timestamp."""
    return Event.objects.filter(timestamp__gte=start, timestamp__lt=end).count()
