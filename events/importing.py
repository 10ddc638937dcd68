"""Importing: run the readers of `events.importers` into the catalogue and the log, so that a kill costs one batch.

Each batch and the note of how far the file came are one transaction. An import that was killed, at whatever moment,
continues after the last stored batch when it is started again; one that ran to its end finds nothing left to do.

It decides nothing about single events: `ingestion.ingest` does, as for every other door.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from events.catalogue import NewContent, NewProfile, register_contents, update_profiles
from events.importers.batches import Batch, fingerprint, read_ahead
from events.importers.rows import BadRow, ContentRow, Dataset, SourceFile
from events.ingestion import ingest
from events.models import ImportProgress


class ImportRunningError(RuntimeError):
    """Another process imports the same file at this moment."""


@dataclass(frozen=True, slots=True)
class ImportStep:
    """How far a file came, after each stored batch.

    `rows` counts the source rows of this step; it is 0 where a file is opened. `position` and `size` are bytes of the
    file on disk. `skipped` rows were imported by an earlier run.
    """

    file: str
    rows: int
    position: int
    size: int
    skipped: int
    bad: tuple[BadRow, ...]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What one run of an import did; rows stored by an earlier run count as `skipped`."""

    rows: int = 0
    skipped: int = 0
    contents: int = 0
    profiles: int = 0
    events: int = 0
    duplicates: int = 0
    bad_rows: int = 0

    def __add__(self, other: "ImportReport") -> "ImportReport":
        return ImportReport(
            self.rows + other.rows,
            self.skipped + other.skipped,
            self.contents + other.contents,
            self.profiles + other.profiles,
            self.events + other.events,
            self.duplicates + other.duplicates,
            self.bad_rows + other.bad_rows,
        )


Progress = Callable[[ImportStep], None]


def import_rows(
    dataset: Dataset, *, now: datetime, progress: Progress | None = None, limit: int | None = None
) -> ImportReport:
    """Import a data set, continuing where an earlier run ended.

    Parameters
    ----------
    dataset : what a `discover` of `events.importers` found
    now : time of arrival of every event
    progress : called after every committed batch, with the rows that could not be imported
    limit : read at most so many rows of each file, counted from its beginning

    Returns
    -------
    ImportReport. `duplicates` counts events that were in the log already or twice in the source.

    Raises
    ------
    SourceError
        When a file turns out to be damaged; what was read before is stored.
    ImportRunningError
        When another process stores rows of the same file at the same time.
    """
    reports = (_import_file(dataset.source, file, now=now, progress=progress, limit=limit) for file in dataset.files)
    return sum(reports, ImportReport())


def _import_file(
    source: str, file: SourceFile[Any], *, now: datetime, progress: Progress | None, limit: int | None
) -> ImportReport:
    mark = fingerprint(file.path, file.salt)
    size = file.path.stat().st_size
    note, _ = ImportProgress.objects.get_or_create(source=source, fingerprint=mark)
    done = skipped = note.rows_done
    if progress:
        progress(ImportStep(file.path.name, 0, 0, size, skipped, ()))
    report = ImportReport(skipped=skipped)
    for batch in read_ahead(file, skip=skipped, limit=limit):
        stored, bad = _store(batch, source=source, file=file, note_id=note.pk, done=done, now=now)
        done += batch.records
        report += stored
        if progress:
            progress(ImportStep(file.path.name, batch.records, batch.position, size, skipped, bad))
    return report


def _store(
    batch: Batch, *, source: str, file: SourceFile[Any], note_id: int, done: int, now: datetime
) -> tuple[ImportReport, tuple[BadRow, ...]]:
    """One batch and the note of it, in one transaction."""
    with transaction.atomic():
        # The row lock also keeps a second import of the same file waiting, and lets it see that it is the second.
        note = ImportProgress.objects.select_for_update().get(pk=note_id)
        if note.rows_done != done:
            raise ImportRunningError(f"{file.path.name} is being imported by another process; let that one finish.")
        register_contents([_new_content(row) for row in batch.contents])
        update_profiles([NewProfile(row.user_id, row.demographics, row.preferences) for row in batch.profiles])
        answer = ingest(batch.events, now=now, source=source, historical=True, keep_rejected=False)
        note.rows_done = done + batch.records
        note.save(update_fields=["rows_done", "updated_at"])
    refused = _once_per_row(
        BadRow(file.path.name, batch.lines[rejection.index], f"{rejection.code}: {rejection.detail}")
        for rejection in answer.rejected
    )
    bad = (*batch.bad, *refused)
    report = ImportReport(
        rows=batch.records,
        contents=len(batch.contents),
        profiles=len(batch.profiles),
        events=answer.accepted,
        duplicates=answer.duplicates,
        bad_rows=len(bad),
    )
    return report, bad


def _new_content(row: ContentRow) -> NewContent:
    return NewContent(
        content_id=row.content_id,
        creator_id=row.creator_id,
        upload_timestamp=row.upload_timestamp,
        metadata=row.metadata,
        status=row.status,
        duration_s=row.duration_s,
        language=row.language,
        media_url=row.media_url,
        thumbnail_url=row.thumbnail_url,
        expires_at=row.expires_at,
    )


def _once_per_row(refused: Iterable[BadRow]) -> Iterable[BadRow]:
    """The first refusal of each row: a row whose user id is bad fails in each of its events."""
    seen: set[int] = set()
    for row in refused:
        if row.line not in seen:
            seen.add(row.line)
            yield row
