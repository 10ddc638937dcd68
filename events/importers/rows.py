"""What every reader yields, the errors it may raise, and the ids it gives to events of foreign logs.

An imported log carries no event ids, but an import must be repeatable: the id is computed from what identifies the row
in its source, so that the same row always becomes the same event, and a row that its source lists twice becomes one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any, Generic, TextIO, TypeVar

RawEvent = dict[str, Any]
"""An event as the API takes it: `event_id`, `event_type`, `user_id`, `timestamp` and the fields of its type."""

Record = TypeVar("Record")


class SourceError(Exception):
    """The path, a file or its columns cannot be imported at all; the message is one sentence for the user."""


class RecordError(ValueError):
    """One record cannot be imported; the message names the column and the value."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A record left out of an import, and why; `line` counts from 1 and includes the header."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class ContentRow:
    """One clip of a foreign catalogue, with the meaning of the columns of `events.models.Content`."""

    content_id: str
    creator_id: str
    upload_timestamp: datetime
    metadata: Mapping[str, Any]
    duration_s: float | None = None
    language: str = ""
    media_url: str = ""
    thumbnail_url: str = ""
    status: str = "active"
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """One user of a foreign data set."""

    user_id: str
    demographics: Mapping[str, Any]
    preferences: Mapping[str, Any] = field(default_factory=dict)


Outcome = list[RawEvent] | ContentRow | ProfileRow
"""What one record becomes; an empty list for a record that is left out on purpose."""


@dataclass(frozen=True, slots=True)
class SourceFile(Generic[Record]):
    """One file and how it is read.

    Attributes
    ----------
    path : the file, plain text or gzip
    records : the text as records with their line numbers; raises `SourceError` for wrong columns
    convert : one record as rows; raises `RecordError`
    salt : what else decides the outcome besides the file (a column mapping); part of the fingerprint
    encoding : of the text; bytes that do not decode are kept as lone surrogates and refused with their row
    """

    path: Path
    records: Callable[[TextIO], Iterator[tuple[int, Record]]]
    convert: Callable[[Record], Outcome]
    salt: str = ""
    encoding: str = "utf-8-sig"


@dataclass(frozen=True, slots=True)
class Dataset:
    """The files of one import, in order: a catalogue comes before the log that refers to it."""

    source: str
    files: tuple[SourceFile[Any], ...]


def event_id(dataset: str, kind: str, key: str, event_type: str, *, at_ms: int | None = None) -> str:
    """The UUID of one event from what identifies it in its source, by a 16-byte BLAKE2b.

    With its time the id has the layout of version 7 (RFC 9562): 48 bits of milliseconds since 1970, then the hash. Ids
    that follow each other in time lie together in the index, which makes storing a log about a third faster. Without a
    time it is version 8, all hash.

    Examples
    --------
    >>> event_id("kuairand", "log", "712,5239,1650812741436", "view", at_ms=1650812741436)
    '01805c1b-673c-78a7-aa29-2df509767eb3'
    >>> event_id("jsonl", "line", "{}", "like")
    '74643bcb-9af8-8d58-aa26-06d83546486b'
    """
    digest = blake2b("\x1f".join((dataset, kind, key, event_type)).encode("utf-8", "surrogatepass"), digest_size=16)
    text = digest.hexdigest()
    if at_ms is None:
        return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-a{text[17:20]}-{text[20:]}"
    time = f"{at_ms & 0xFFFFFFFFFFFF:012x}"
    return f"{time[:8]}-{time[8:]}-7{text[:3]}-a{text[3:6]}-{text[6:18]}"


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(milliseconds: int) -> datetime:
    """The moment in UTC that lies so many milliseconds after 1970; `RecordError` where no calendar has it.

    Examples
    --------
    >>> moment(1650812741436).isoformat()
    '2022-04-24T15:05:41.436000+00:00'
    """
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError as error:
        raise RecordError(f"time {milliseconds} ms is outside the calendar") from error


def number(text: str) -> int | float | str:
    """A cell as the number it spells, else as its text; figures too large or not finite stay text.

    Examples
    --------
    >>> number("3"), number("4.0"), number("(5,10]"), number("nan")
    (3, 4, '(5,10]', 'nan')
    """
    try:
        value = float(text)
    except ValueError:
        return text
    if abs(value) < 2**53:
        return int(value) if value.is_integer() else value
    return text
