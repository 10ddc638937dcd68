"""JSONL: one JSON object per line, the format for moving one's own data in.

    {"kind": "content", "content_id": "v1", "creator_id": "c1", "upload_timestamp": "2026-11-01T12:00:00Z",
     "duration_s": 12.5, "language": "en", "media_url": "...", "thumbnail_url": "...", "status": "active",
     "expires_at": "2027-01-01T00:00:00Z", "metadata": {"caption": "...", "tags": ["..."], "category": "..."}}
    {"kind": "user", "user_id": "u1", "demographics": {...}, "preferences": {...}}
    {"kind": "event", "event_type": "view", "user_id": "u1", "content_id": "v1",
     "timestamp": "2026-11-02T18:00:00Z", "watch_duration": 7.4, "event_id": "..."}

Of a content `title`, `description`, `tags`, `category` and `sensitive` may also stand beside `metadata`, as in the API.
Contents and users are shaped as in the API, with their id inside; an event is exactly an event of the API, and may be
given bare, without `kind`. An event without `event_id` gets one from its own fields, so two lines that say the same
thing are one event. `upload_timestamp` is required: a content without one would count as new at
every import. Contents and users need not come before the events about them.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO, TypeVar

import msgspec

from events.cleaning.uploads import DESCRIBING, described
from events.importers.rows import (
    ContentRow,
    Dataset,
    Outcome,
    ProfileRow,
    RecordError,
    SourceError,
    SourceFile,
    event_id,
)

SOURCE = "jsonl"


Shape = TypeVar("Shape", bound=msgspec.Struct)


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    content_id: str
    creator_id: str
    upload_timestamp: datetime
    metadata: dict[str, Any] = {}
    duration_s: float | None = None
    language: str = ""
    media_url: str = ""
    thumbnail_url: str = ""
    status: str = "active"
    expires_at: datetime | None = None
    title: str | None = None
    description: str | None = None
    tags: list[str] | None = None
    category: str | None = None
    sensitive: bool | None = None


class _User(msgspec.Struct, forbid_unknown_fields=True):
    user_id: str
    demographics: dict[str, Any] = {}
    preferences: dict[str, Any] = {}


def discover(path: Path) -> Dataset:
    """The one file as a data set; `SourceError` when it is none."""
    if not path.is_file():
        raise SourceError(f"{path} is no file; jsonl takes one file, plain or gzip.")
    return Dataset(SOURCE, (SourceFile(path, _lines, _convert),))


def _lines(stream: TextIO) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(stream, start=1) if not line.isspace())


def _convert(line: str) -> Outcome:
    """One line as an event, a content or a profile."""
    try:
        raw = msgspec.json.decode(line.encode("utf-8"))
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise RecordError(f"not readable as JSON: {error}") from error
    if not isinstance(raw, dict):
        raise RecordError(f"expected a JSON object, got {type(raw).__name__}")
    kind = raw.pop("kind", "event")
    if kind == "event":
        if "event_id" not in raw:
            raw["event_id"] = event_id(SOURCE, "line", _canonical(raw), str(raw.get("event_type")))
        return [raw]
    if kind == "content":
        content = _typed(raw, _Content)
        for name in ("upload_timestamp", "expires_at"):
            at = getattr(content, name)
            if at is not None and at.tzinfo is None:
                raise RecordError(f"{name} has no time zone: {raw[name]!r}")
        return ContentRow(
            content.content_id,
            content.creator_id,
            content.upload_timestamp.astimezone(UTC),
            described(content.metadata, {name: getattr(content, name) for name in DESCRIBING}),
            content.duration_s,
            content.language,
            content.media_url,
            content.thumbnail_url,
            content.status,
            None if content.expires_at is None else content.expires_at.astimezone(UTC),
        )
    if kind == "user":
        user = _typed(raw, _User)
        return ProfileRow(user.user_id, user.demographics, user.preferences)
    raise RecordError(f"kind must be event, content or user, got {kind!r}")


def _canonical(raw: Mapping[str, Any]) -> str:
    return msgspec.json.encode(raw, order="sorted").decode()


def _typed(raw: Mapping[str, Any], shape: type[Shape]) -> Shape:
    try:
        return msgspec.convert(raw, shape)
    except msgspec.ValidationError as error:
        raise RecordError(str(error)) from error
