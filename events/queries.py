"""Reads of the log and the catalogue for other apps: columns for bulk readers, one indexed query for serving.

Bulk reads stream a COPY into pyarrow, which builds the vocabularies of ids while it parses: a million events never
become a million Python objects. Nothing here writes.
"""

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv
from django.db import connection
from django.db.models import Max
from numpy.typing import NDArray

from events.cleaning.schema import EVENT_TYPES
from events.columnar.history import History
from events.columnar.interactions import ABSENT, ContentTable, Interactions
from events.models import REFUSALS, Content, UserProfile

COUNT_EXACTLY_BELOW: Final = 100_000
# Each block builds a dictionary of its own, and merging them costs as much as parsing; larger blocks, fewer merges.
BLOCK_BYTES: Final = 32 * 1024 * 1024

_CODE_OF: Final = {name: code for code, name in enumerate(EVENT_TYPES)}
_TEXT: Final = pa.dictionary(pa.int32(), pa.string())
_LOG_COLUMNS: Final = {
    "event_type": _TEXT,
    "user_id": _TEXT,
    "content_id": _TEXT,
    "creator_id": _TEXT,
    "timestamp": pa.float64(),
    "watch_s": pa.float32(),
    "long_view": pa.int8(),
    "session_id": _TEXT,
    "request_id": _TEXT,
    "surface": _TEXT,
    "position": pa.int16(),
}
_LONG_VIEW: Final = {None: -1, "false": 0, "true": 1}
_SELECT_LOG: Final = """
    SELECT event_type, user_id, content_id, creator_id, date_part('epoch', event."timestamp") AS timestamp,
           additional_info->>'watch_duration' AS watch_s,
           CASE additional_info->>'long_view' WHEN 'true' THEN 1 WHEN 'false' THEN 0 END AS long_view,
           session_id, request_id, additional_info->>'surface' AS surface, position
    FROM event
"""

HOUR_S: Final = 3600.0
_COUNTING_COLUMNS: Final = {
    "event_type": _TEXT,
    "user_id": _TEXT,
    "content_id": _TEXT,
    "hour": pa.int32(),
    "watch_s": pa.float32(),
    "long_view": pa.int8(),
    "surface": _TEXT,
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

_SELECT_HISTORY: Final = """
    WITH recent AS (
        SELECT * FROM event WHERE user_id = %(user)s AND event_type <> 'content_upload'
        ORDER BY "timestamp" DESC LIMIT %(limit)s
    ), remembered AS (
        SELECT * FROM recent
        UNION ALL
        SELECT * FROM event WHERE user_id = %(user)s AND event_type = ANY(%(refusals)s)
            AND "timestamp" < (SELECT min("timestamp") FROM recent)
    )
    SELECT event_type, content_id, creator_id, date_part('epoch', "timestamp"),
           additional_info->>'watch_duration', additional_info->>'long_view', additional_info->>'surface'
    FROM remembered ORDER BY remembered."timestamp", event_id
"""


@dataclass(frozen=True, slots=True)
class ContentCard:
    """What a feed shows of one content."""

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


@dataclass(frozen=True, slots=True)
class Counts:
    """Size of what is stored; `events` is the planner's estimate, because counting millions takes seconds."""

    users: int
    contents: int
    active_contents: int
    events: int


def interactions_between(
    start: datetime | None, end: datetime, *, types: Collection[str] | None = None
) -> Interactions:
    """Events with `start <= timestamp < end`, ordered by (timestamp, event id), as columns.

    `start=None` reads from the beginning of the log; `types` restricts to some event types. Served by the index
    event_timestamp.
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
    # Ordered by seconds, not by the column: in order of the column the planner walks the index and fetches each row at
    # random, three times slower than reading and sorting (1.2 million events: 4.7 against 1.5 s).
    statement = (
        f"{_SELECT_LOG} WHERE {' AND '.join(clauses)} ORDER BY date_part('epoch', event.\"timestamp\"), event_id"
    )
    table = _copy_out(statement, values, _LOG_COLUMNS)
    type_codes, type_names = _decoded(table, "event_type")
    to_code = np.array([_CODE_OF[name] for name in type_names], dtype=np.uint8)
    user, users = _decoded(table, "user_id")
    content, contents = _decoded(table, "content_id")
    creator, creators = _decoded(table, "creator_id")
    session, sessions = _decoded(table, "session_id")
    request, requests = _decoded(table, "request_id")
    surface, surfaces = _decoded(table, "surface")
    return Interactions(
        event_type=to_code[type_codes],
        user=user,
        content=content,
        creator=creator,
        timestamp=table["timestamp"].to_numpy(),
        watch_s=_filled(table, "watch_s", np.float32(np.nan)),
        long_view=_filled(table, "long_view", np.int8(-1)),
        session=session,
        request=request,
        users=users,
        contents=contents,
        creators=creators,
        sessions=sessions,
        requests=requests,
        surface=surface,
        position=_filled(table, "position", np.int16(ABSENT)),
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
        table = _parsed(self._buffer, _COUNTING_COLUMNS)
        type_codes, type_names = _decoded(table, "event_type")
        to_code = np.array([_CODE_OF[name] for name in type_names], dtype=np.uint8)
        user, users = _decoded(table, "user_id")
        content, contents = _decoded(table, "content_id")
        surface, surfaces = _decoded(table, "surface")
        absent, nothing = np.full(len(user), ABSENT, np.int32), np.empty(0, object)
        return Interactions(
            event_type=to_code[type_codes],
            user=user,
            content=content,
            creator=absent,
            timestamp=table["hour"].to_numpy().astype(np.float64) * HOUR_S,
            watch_s=_filled(table, "watch_s", np.float32(np.nan)),
            long_view=_filled(table, "long_view", np.int8(-1)),
            session=absent,
            request=absent,
            users=users,
            contents=contents,
            creators=nothing,
            sessions=nothing,
            requests=nothing,
            surface=surface,
            position=_filled(table, "position", np.int16(ABSENT)),
            surfaces=surfaces,
        )


def counting_log(start: datetime, end: datetime) -> CountingLog:
    """Events with `start <= timestamp < end` for whoever counts them by the hour.

    Served by the index event_timestamp.
    """
    return CountingLog(_copied(_SELECT_COUNTING, [start, end]))


def recent_history(user_id: str, *, limit: int = 1000) -> History:
    """The last `limit` events of one user, and everything the user ever refused before them, oldest first.

    Uploads are left out, as they say nothing about taste. Served by the indexes event_user_recent and event_refused.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SELECT_HISTORY, {"user": user_id, "limit": limit, "refusals": list(REFUSALS)})
        rows = cursor.fetchall()
    if not rows:
        return History.empty()
    types, contents, creators, times, watched, long_views, surfaces = zip(*rows, strict=True)
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
    unknown. Served by the index event_user_recent.
    """
    found: dict[str, list[tuple[str, str, str, str]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.user_id, e.event_type, coalesce(c.metadata->>'category', ''), "
            "coalesce(e.creator_id, c.creator_id, ''), coalesce(c.language, '') "
            "FROM event e LEFT JOIN content c USING (content_id) "
            'WHERE e.user_id = ANY(%s) AND e.event_type = ANY(%s) AND e."timestamp" < %s '
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


def catalogue_table() -> ContentTable:
    """The whole catalogue as columns, contents that are not active included."""
    with connection.cursor() as cursor:
        # COLLATE "C" is the order in which Python and numpy sort text, whatever the server's locale.
        cursor.execute(
            "SELECT content_id, creator_id, metadata, language, date_part('epoch', upload_timestamp), duration_s, "
            "status = 'active' FROM content ORDER BY content_id COLLATE \"C\""
        )
        rows = cursor.fetchall()
    ids, creators, metadata, languages, uploads, durations, active = zip(*rows, strict=True) if rows else ((),) * 7
    described = [_described(json) for json in metadata]
    return ContentTable(
        content_id=_texts(ids),
        creator_id=_texts(creators),
        category=_texts([category for _, _, category in described]),
        language=_texts(languages),
        text=_texts([" ".join((caption, *tags)).strip() for caption, tags, _ in described]),
        upload_timestamp=np.array(uploads, dtype=np.float64),
        duration_s=np.array([np.nan if length is None else length for length in durations], dtype=np.float32),
        active=np.array(active, dtype=np.bool_),
    )


def catalogue_changed_at() -> datetime | None:
    """When the catalogue last changed; None while it is empty."""
    newest: datetime | None = Content.objects.aggregate(newest=Max("updated_at"))["newest"]
    return newest


def newest_contents(limit: int) -> list[str]:
    """Ids of the newest active uploads, newest first. Served by the index content_newest."""
    newest = Content.objects.filter(status="active").order_by("-upload_timestamp")
    return list(newest.values_list("content_id", flat=True)[:limit])


def eligible(content_ids: Collection[str]) -> set[str]:
    """Those of the given contents that may be shown right now; a failing database raises, it never guesses."""
    active = Content.objects.filter(content_id__in=list(content_ids), status="active")
    return set(active.values_list("content_id", flat=True))


def eligible_cards(content_ids: Collection[str]) -> dict[str, ContentCard]:
    """Cards of those of the given contents that may be shown right now: eligibility and display in one query."""
    return _cards(content_ids, only_active=True)


def content_cards(content_ids: Collection[str]) -> dict[str, ContentCard]:
    """Cards of the given contents, whatever their moderation state; unknown ids are absent."""
    return _cards(content_ids, only_active=False)


def content(content_id: str) -> Mapping[str, Any] | None:
    """One content with all its columns; None where there is none."""
    return Content.objects.filter(content_id=content_id).values().first()


def profile(user_id: str) -> Mapping[str, Any] | None:
    """One user's profile with all its columns; None where there is none."""
    return UserProfile.objects.filter(user_id=user_id).values().first()


def profiles(user_ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """Profiles of the given users with all their columns; users without one are absent."""
    return {row["user_id"]: row for row in UserProfile.objects.filter(user_id__in=list(user_ids)).values()}


def demo_personas(limit: int = 6) -> list[tuple[str, str]]:
    """Users seeded for the demo, as (user id, label): ids that start with "demo-", in order of id."""
    demo = UserProfile.objects.filter(user_id__startswith="demo-").order_by("user_id")[:limit]
    return [
        (
            profile.user_id,
            str(profile.preferences.get("persona") or profile.demographics.get("persona") or profile.user_id),
        )
        for profile in demo
    ]


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


def _cards(content_ids: Collection[str], *, only_active: bool) -> dict[str, ContentCard]:
    rows = Content.objects.filter(content_id__in=list(content_ids))
    if only_active:
        rows = rows.filter(status="active")
    cards = {}
    for row in rows:
        caption, tags, category = describe(row.metadata)
        cards[row.content_id] = ContentCard(
            row.content_id, row.creator_id, caption, tags, category, row.duration_s, row.language, row.media_url,
            row.thumbnail_url, row.status,
        )  # fmt: skip
    return cards


def describe(metadata: Any) -> tuple[str, tuple[str, ...], str]:
    """Caption, tags and category of a content's metadata; whatever is not text counts as absent."""
    if not isinstance(metadata, dict):
        return "", (), ""
    caption, tags, category = metadata.get("caption"), metadata.get("tags"), metadata.get("category")
    return (
        caption if isinstance(caption, str) else "",
        tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
        category if isinstance(category, str) else "",
    )


def _described(json: str) -> tuple[str, tuple[str, ...], str]:
    return describe(msgspec.json.decode(json))


def _texts(values: Sequence[str | None]) -> NDArray[np.object_]:
    """An object array of texts, "" for NULL."""
    column = np.empty(len(values), dtype=object)
    column[:] = [value or "" for value in values]
    return column


def _copy_out(statement: str, values: Sequence[Any], columns: dict[str, pa.DataType]) -> pa.Table:
    """Run a SELECT through COPY and parse its CSV with text columns dictionary-encoded."""
    return _parsed(_copied(statement, values), columns)


def _copied(statement: str, values: Sequence[Any]) -> io.BytesIO:
    """The CSV of a SELECT."""
    buffer = io.BytesIO()
    with connection.wrap_database_errors, connection.cursor() as cursor:
        query = cursor.mogrify(statement, values).decode()
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT csv)", buffer)
    return buffer


def _parsed(buffer: io.BytesIO, columns: dict[str, pa.DataType]) -> pa.Table:
    if not buffer.tell():
        return pa.table({name: pa.array([], kind) for name, kind in columns.items()})
    return pyarrow.csv.read_csv(
        pa.py_buffer(buffer.getbuffer()),
        read_options=pyarrow.csv.ReadOptions(column_names=list(columns), use_threads=False, block_size=BLOCK_BYTES),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=False),
        # An empty unquoted field is NULL, a quoted one is the empty text; an id "NA" is an id.
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=columns, strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""]
        ),
    ).unify_dictionaries().combine_chunks()  # fmt: skip


def _decoded(table: pa.Table, name: str) -> tuple[NDArray[np.int32], NDArray[np.object_]]:
    """Codes (ABSENT for NULL) and vocabulary of a dictionary-encoded column."""
    chunked = table[name]
    column = chunked.combine_chunks() if chunked.num_chunks != 1 else chunked.chunk(0)
    codes = column.indices.fill_null(ABSENT).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return codes, column.dictionary.to_numpy(zero_copy_only=False)


def _filled(table: pa.Table, name: str, absent: np.generic) -> NDArray[Any]:
    filled: NDArray[Any] = table[name].fill_null(absent.item()).to_numpy().astype(absent.dtype, copy=False)
    return filled


def events_per_day(until: datetime, *, time_zone: str) -> list[tuple[date, int]]:
    """Logged events before `until` per calendar day of an IANA time zone, oldest first; days without any are left out.

    One index-only pass over event_timestamp: the rollups compare these counts to find days that changed.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT ("timestamp" AT TIME ZONE %s)::date AS day, count(*) FROM event WHERE "timestamp" < %s '
            "GROUP BY day ORDER BY day",
            [time_zone, until],
        )
        return [(day, int(rows)) for day, rows in cursor.fetchall()]


def events_per_window(until: datetime, *, window_s: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Windows of `window_s` seconds with events before `until`, ascending (epoch seconds // window_s), and how many.

    One index-only pass over event_timestamp.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT floor(date_part('epoch', \"timestamp\") / %s)::bigint AS number, count(*) FROM event "
            'WHERE "timestamp" < %s GROUP BY number ORDER BY number',
            [window_s, until],
        )
        counts = np.array(cursor.fetchall(), np.int64).reshape(-1, 2)
    return counts[:, 0], counts[:, 1]
