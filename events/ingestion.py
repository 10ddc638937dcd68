"""Ingestion: validate, clean and store raw events, once each, durable before it answers.

Every event is judged by itself: one bad event is refused with a code and does not cost its neighbours. The good ones
are stored in one transaction, and an event id that is known already is counted as a duplicate; the first one stays.
Sending a batch twice is therefore always safe.

It does not compute features, sessions or KPIs: those read the log later, and can be computed again from it.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from django.db import connection, transaction
from psycopg2.extras import execute_values

from events import telemetry
from events.catalogue import NewContent, ensure_profiles, register_contents
from events.cleaning.rules import CleanEvent, clean_event
from events.cleaning.schema import ForbiddenUser, InvalidEvent, decode_event
from events.cleaning.uploads import read_upload

# Below about this many rows one INSERT beats COPY into a temporary table, which costs three more round trips.
COPY_FROM_ROWS: Final = 80
NULL: Final = "\\N"


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refused event: its place in the batch, a stable code, and a sentence naming field and value."""

    index: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of a batch; accepted + duplicates + rejected is its length."""

    accepted: int
    duplicates: int
    rejected: tuple[Rejection, ...]


_COLUMNS = (
    "event_id, event_type, user_id, content_id, creator_id, session_id, request_id, position, "
    '"timestamp", received_at, additional_info'
)
_INSERT_FEW = f"INSERT INTO event ({_COLUMNS}) VALUES %s ON CONFLICT DO NOTHING"  # noqa: S608 - constants only
_INSERT_COPIED = f"INSERT INTO event ({_COLUMNS}) SELECT {_COLUMNS} FROM incoming_event ON CONFLICT DO NOTHING"  # noqa: S608


def ingest(
    raw_events: Sequence[Mapping[str, Any] | bytes],
    *,
    now: datetime,
    source: str,
    historical: bool = False,
    user_id: str | None = None,
) -> IngestReport:
    """Take in a batch of events.

    Parameters
    ----------
    raw_events : mappings, or JSON texts of one object each (see `cleaning.schema`)
    now : time of arrival, kept as `received_at`
    source : where the batch came from, for the counters: "api", "beacon", the name of an import
    historical : an imported log: old timestamps, and views that state `long_view` instead of a watch time
    user_id : the user whose token sent the batch; without it the sender may speak for any user

    Returns
    -------
    IngestReport. When it is returned outside of a transaction, accepted events are committed.

    Raises
    ------
    ForbiddenUser
        An event claims another user than `user_id`. Nothing of the batch is stored: its sender is lying or confused.
    """
    clean: dict[str, CleanEvent] = {}
    repeated = 0
    rejected: list[Rejection] = []
    for index, raw in enumerate(raw_events):
        try:
            event = clean_event(decode_event(raw), now=now, historical=historical, user_id=user_id)
        except ForbiddenUser:
            raise
        except InvalidEvent as error:
            rejected.append(Rejection(index, error.code, error.detail))
            continue
        key = str(event.event_id)
        if clean.setdefault(key, event) is not event:
            repeated += 1
    stored = _store(clean, now) if clean else 0
    report = IngestReport(stored, repeated + len(clean) - stored, tuple(rejected))
    telemetry.count_batch(source, report.accepted, report.duplicates, [rejection.code for rejection in rejected])
    return report


def _store(events: Mapping[str, CleanEvent], now: datetime) -> int:
    """Write the batch in one transaction; returns how many events were new."""
    # Profiles, contents and events are locked in this order and each sorted by key, so that batches that overlap wait
    # for each other instead of dying in a deadlock.
    ordered = [(key, events[key]) for key in sorted(events)]
    with transaction.atomic():
        ensure_profiles({event.user_id for _, event in ordered})
        uploads = [_uploaded(event) for _, event in ordered if event.event_type == "content_upload"]
        if uploads:
            register_contents(uploads, keep_known=True)
        write = _copy if len(ordered) >= COPY_FROM_ROWS else _insert
        return write(ordered, now)


def _insert(events: Sequence[tuple[str, CleanEvent]], now: datetime) -> int:
    rows = [
        (
            key,
            *event[1:6],
            event.request_id and str(event.request_id),
            event.position,
            event.timestamp,
            now,
            _json(event),
        )
        for key, event in events
    ]
    with connection.wrap_database_errors, connection.cursor() as cursor:
        execute_values(cursor.cursor, _INSERT_FEW, rows, page_size=COPY_FROM_ROWS)
        return int(cursor.rowcount)


def _copy(events: Sequence[tuple[str, CleanEvent]], now: datetime) -> int:
    buffer = io.BytesIO(_copy_text(events, now).encode())
    with connection.wrap_database_errors, connection.cursor() as cursor:
        # One table per connection, emptied by every commit; emptied here as well for callers with a longer transaction.
        cursor.execute("CREATE TEMP TABLE IF NOT EXISTS incoming_event (LIKE event) ON COMMIT DELETE ROWS")
        cursor.execute("DELETE FROM incoming_event")
        cursor.copy_expert(f"COPY incoming_event ({_COLUMNS}) FROM STDIN", buffer)
        cursor.execute(_INSERT_COPIED)
        return int(cursor.rowcount)


def _copy_text(events: Sequence[tuple[str, CleanEvent]], now: datetime) -> str:
    """The batch in PostgreSQL's COPY text format: tab between columns, \\N for NULL, backslashes doubled."""
    received = now.isoformat()
    lines = []
    for key, event in events:
        request = event.request_id
        position = event.position
        lines.append(
            f"{key}\t{event.event_type}\t{_field(event.user_id)}\t{_field(event.content_id)}\t"
            f"{_field(event.creator_id)}\t{_field(event.session_id)}\t{NULL if request is None else request}\t"
            f"{NULL if position is None else position}\t{event.timestamp.isoformat()}\t{received}\t"
            f"{_field(_json(event))}\n"
        )
    return "".join(lines)


def _field(value: str | None) -> str:
    # Ids hold no tab or line break (`schema.check_text`), and JSON escapes them, so the backslash is all there is.
    if value is None:
        return NULL
    return value.replace("\\", "\\\\") if "\\" in value else value


def _json(event: CleanEvent) -> str:
    return msgspec.json.encode(event.additional_info).decode() if event.additional_info else "{}"


def _uploaded(event: CleanEvent) -> NewContent:
    assert event.content_id is not None  # the schema requires both for an upload
    assert event.creator_id is not None
    metadata = event.additional_info.get("metadata", {})
    facts = read_upload(metadata)
    return NewContent(event.content_id, event.creator_id, event.timestamp, metadata, "active", *facts)
