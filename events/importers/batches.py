"""Runs one source file: skips what is imported already, converts the rest, groups it into batches worth storing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from queue import Full, Queue
from threading import Event, Thread
from typing import Any

from events.cleaning.schema import MAX_ID_CHARS, InvalidEvent, check_json, check_text, show
from events.importers.rows import BadRow, ContentRow, ProfileRow, RawEvent, RecordError, SourceFile
from events.importers.text import opened

EVENTS_PER_BATCH = 10_000
"""Where a COPY into a temporary table stops gaining from a larger batch."""

RECORDS_PER_BATCH = 10_000
FINGERPRINT_BYTES = 1_048_576
MAX_LANGUAGE_CHARS = 16
STATUSES = ("active", "hidden", "removed")


@dataclass(slots=True)
class Batch:
    """What a run of records became.

    Attributes
    ----------
    records : records read, bad ones included
    position : bytes of the file on disk consumed so far
    events, lines : raw events and the line each came from, of equal length
    contents, profiles, bad : the other outcomes, each checked to be storable
    """

    records: int = 0
    position: int = 0
    events: list[RawEvent] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    contents: list[ContentRow] = field(default_factory=list)
    profiles: list[ProfileRow] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)

    def full(self) -> bool:
        """Whether it is worth storing now."""
        return len(self.events) >= EVENTS_PER_BATCH or self.records >= RECORDS_PER_BATCH


def fingerprint(path: Path, salt: str = "") -> str:
    """SHA-256 over a file's name, size, first megabyte and the salt: tells whether an import continues the same file.

    A file that grew is another file; its known rows become the same events, so nothing is stored twice.
    """
    digest = sha256(f"{path.name}\x1f{path.stat().st_size}\x1f{salt}\x1f".encode("utf-8", "surrogateescape"))
    with path.open("rb") as file:
        digest.update(file.read(FINGERPRINT_BYTES))
    return digest.hexdigest()


def batches(source: SourceFile[Any], *, skip: int = 0, limit: int | None = None) -> Iterator[Batch]:
    """The records `skip .. limit` of a file as batches; the last one may be empty of rows but never of records."""
    with opened(source.path, source.encoding) as (text, position):
        batch = Batch()
        convert = source.convert
        for line, record in islice(source.records(text), skip, limit):
            batch.records += 1
            try:
                _add(batch, line, convert(record))
            except RecordError as error:
                batch.bad.append(BadRow(source.path.name, line, str(error)))
            if batch.full():
                batch.position = position()
                yield batch
                batch = Batch()
        if batch.records:
            batch.position = position()
            yield batch


def read_ahead(source: SourceFile[Any], *, skip: int = 0, limit: int | None = None) -> Iterator[Batch]:
    """`batches`, read by a thread while the caller waits for the database; at most two batches ahead.

    An error of the reader is raised here, after the batches before it.
    """
    ready: Queue[Batch | BaseException | None] = Queue(maxsize=2)
    abandoned = Event()

    def hand_over(item: Batch | BaseException | None) -> bool:
        while not abandoned.is_set():
            try:
                ready.put(item, timeout=0.2)
            except Full:
                continue
            return True
        return False

    def read() -> None:
        try:
            for batch in batches(source, skip=skip, limit=limit):
                if not hand_over(batch):
                    return
            hand_over(None)
        except BaseException as error:
            hand_over(error)

    reader = Thread(target=read, name=f"read {source.path.name}", daemon=True)
    reader.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        abandoned.set()
        reader.join()


def _add(batch: Batch, line: int, outcome: list[RawEvent] | ContentRow | ProfileRow) -> None:
    if isinstance(outcome, list):
        batch.events += outcome
        batch.lines += [line] * len(outcome)
    elif isinstance(outcome, ContentRow):
        batch.contents.append(_storable_content(outcome))
    else:
        batch.profiles.append(_storable_profile(outcome))


def _storable_content(row: ContentRow) -> ContentRow:
    """The row itself when the catalogue can hold it, else `RecordError`: one bad row must not fail its whole batch."""
    _check_id(row.content_id, "content_id")
    _check_id(row.creator_id, "creator_id")
    _check_json(row.metadata, "metadata")
    for column in ("language", "media_url", "thumbnail_url"):
        if not getattr(row, column).isprintable():
            raise RecordError(f"{column} has control characters: {show(getattr(row, column))}")
    if len(row.language) > MAX_LANGUAGE_CHARS:
        raise RecordError(f"language is longer than {MAX_LANGUAGE_CHARS} characters: {show(row.language)}")
    if row.status not in STATUSES:
        raise RecordError(f"status must be one of {', '.join(STATUSES)}: {show(row.status)}")
    if row.duration_s is not None and not 0 < row.duration_s < float("inf"):
        raise RecordError(f"duration_s must be a positive number of seconds: {row.duration_s}")
    return row


def _storable_profile(row: ProfileRow) -> ProfileRow:
    _check_id(row.user_id, "user_id")
    _check_json(row.demographics, "demographics")
    _check_json(row.preferences, "preferences")
    return row


def _check_id(value: str, column: str) -> None:
    if not 0 < len(value) <= MAX_ID_CHARS:
        raise RecordError(f"{column} must have 1 to {MAX_ID_CHARS} characters: {show(value)}")
    try:
        check_text(value, field=column)
    except InvalidEvent as error:
        raise RecordError(error.detail) from error


def _check_json(value: Mapping[str, Any], column: str) -> None:
    try:
        check_json(value, field=column)
    except InvalidEvent as error:
        raise RecordError(error.detail) from error
