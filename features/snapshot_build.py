"""Make the snapshot that serving reads, from the catalogue, the newest counter states and the learned models.

Counters are as of the last hour with events, not of the moment of writing: while nothing happens at all, a snapshot
stays the same, byte for byte. `extraction.log_clock` says why an imported log of 2022 does not fade for years either.

Call it under the lock of `materialize`.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from events.columnar.interactions import ContentTable
from events.queries import catalogue_changed_at, interactions_between
from features import log_windows, snapshot_files, store, window_rows
from features.embeddings import behaviour
from features.embeddings.behaviour import SequentialItemModel
from features.embeddings.text import TextEncoder, text_hash
from features.extraction.aggregates import advance
from features.extraction.content import content_block
from features.extraction.definitions import COUNTER_SET, HALF_LIVES_S, WINDOW_S
from features.extraction.log_clock import LogClock
from features.extraction.population import Population
from features.extraction.sequences import ENJOYABLE, enjoyed
from features.extraction.snapshot import UNKNOWN, ContentSnapshot, encode, popularity
from features.snapshot_files import Manifest, SnapshotArrays, SnapshotError

logger = logging.getLogger(__name__)

GROWTH: Final = 0.2
"""Encoder and sequential model are fitted again when catalogue or log grew by more than this share."""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did; the fields of `materialize.MaterializeReport` of the same names."""

    version: str | None
    written: bool
    encoded: int
    fitted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Previous:
    """The snapshot that serves, and what it was made from."""

    manifest: Manifest
    snapshot: ContentSnapshot
    encoder: TextEncoder


def build(catalogue: ContentTable, *, until: datetime, refit: bool) -> BuildReport:
    """Write a snapshot unless the one that serves is the same.

    Parameters
    ----------
    until : stamps new embeddings, and what the sequential model may learn from
    refit : learn encoder and sequential model anew, whatever their age
    """
    if len(catalogue) == 0:
        return BuildReport(None, written=False, encoded=0, fitted=())
    previous = _previous()
    encoder, encoder_contents = _encoder(previous, catalogue, refit=refit)
    embedding, hashes, encoded = _embed(catalogue, encoder, previous)
    if len(encoded):
        new = catalogue.content_id[encoded].tolist()
        store.put_embeddings(new, embedding[encoded], encoder=encoder.version_, now=until)
    arrays, counted_until = _arrays(catalogue, embedding, hashes)
    sequential, sequential_events, learned = _sequential(previous, arrays, until=until, refit=refit)
    manifest = Manifest(
        until=counted_until,
        counter_set=COUNTER_SET,
        encoder_version=encoder.version_,
        encoder_contents=encoder_contents,
        sequential_events=sequential_events,
        catalogue_changed_at=_changed_at(),
    )
    complete = snapshot_files.write(_root(), arrays, manifest=manifest, encoder=encoder, sequential=sequential)
    fitted = {"encoder": previous is None or encoder is not previous.encoder, "sequential": learned}
    return BuildReport(
        complete.version,
        written=previous is None or complete.version != previous.manifest.version,
        encoded=len(encoded),
        fitted=tuple(name for name, anew in fitted.items() if anew),
    )


def catalogue_moved() -> bool:
    """Whether the catalogue has changed since the snapshot that serves was made, or there is none of a catalogue."""
    folder = snapshot_files.current(_root())
    try:
        known = "" if folder is None else snapshot_files.read_manifest(folder).catalogue_changed_at
    except SnapshotError:
        return True
    return known != _changed_at()


def _previous() -> _Previous | None:
    """What serves now; None where there is nothing, or nothing usable: then all is made anew."""
    folder = snapshot_files.current(_root())
    if folder is None:
        return None
    try:
        manifest = snapshot_files.read_manifest(folder)
        return _Previous(manifest, snapshot_files.load(folder), TextEncoder.load(folder))
    except (SnapshotError, OSError, ValueError, KeyError):
        logger.exception("the content snapshot %s cannot be used; making all of it anew", folder.name)
        return None


def _encoder(previous: _Previous | None, catalogue: ContentTable, *, refit: bool) -> tuple[TextEncoder, int]:
    """The encoder to use, and how many contents it was fitted on."""
    if previous is not None and not refit:
        fitted_on = previous.manifest.encoder_contents
        if len(catalogue) <= (1 + GROWTH) * fitted_on:
            return previous.encoder, fitted_on
    return TextEncoder().fit(_documents(catalogue)), len(catalogue)


def _embed(
    catalogue: ContentTable, encoder: TextEncoder, previous: _Previous | None
) -> tuple[NDArray[np.float32], NDArray[np.uint64], NDArray[np.int64]]:
    """Vectors of all contents, the hashes of their texts, and the rows that had to be encoded."""
    documents = _documents(catalogue)
    hashes = np.array([text_hash(document) for document in documents], np.uint64)
    embedding = np.zeros((len(catalogue), encoder.dimensions), np.float32)
    known = np.zeros(len(catalogue), np.bool_)
    if previous is not None and previous.manifest.encoder_version == encoder.version_:
        old = previous.snapshot.rows(catalogue.content_id.tolist())
        known = (old >= 0) & (previous.snapshot.text_hash[old] == hashes)
        embedding[known] = previous.snapshot.embedding[old[known]]
    encoded = np.flatnonzero(~known)
    embedding[encoded] = encoder.transform([documents[row] for row in encoded.tolist()])
    return embedding, hashes, encoded


def _arrays(
    catalogue: ContentTable, embedding: NDArray[np.float32], hashes: NDArray[np.uint64]
) -> tuple[SnapshotArrays, float]:
    """The arrays of a snapshot, and the moment its counters are as of (the newest upload while there are no events)."""
    creator, creators = encode(catalogue.creator_id)
    category, categories = encode(catalogue.category)
    language, languages = encode(catalogue.language)
    counted = _counted(catalogue)
    features = content_block(
        counted.counters,
        creator=creator,
        creators=len(creators),
        category=category,
        categories=len(categories),
        duration_s=catalogue.duration_s,
        receptions=counted.population.at(len(counted.population) - 1),
    )
    # The tables of nobody, where there is no hour yet.
    population = Population.joined([Population.empty(0 if len(counted.population) else 1), counted.population])
    arrays = SnapshotArrays(
        content_id=catalogue.content_id,
        creator=creator,
        category=category,
        language=language,
        creators=creators,
        categories=categories,
        languages=languages,
        upload_timestamp=catalogue.upload_timestamp,
        duration_s=catalogue.duration_s,
        active=catalogue.active,
        embedding=embedding,
        text_hash=hashes,
        counters=counted.counters,
        features=features,
        popularity=counted.popularity,
        watch=population.watch[-1],
        surfaces=population.surfaces,
        surface=population.surface[-1],
    )
    return arrays, counted.until


@dataclass(frozen=True, slots=True)
class _Counted:
    """What the log says of the catalogue: counters and population as of `until`, and how popular contents are now."""

    until: float
    counters: NDArray[np.float32]
    population: Population
    popularity: NDArray[np.float32]


def _counted(catalogue: ContentTable) -> _Counted:
    """Complete hours only, as training sees them (`extraction.timeline`); only the popularity knows the running one."""
    ids = catalogue.content_id.tolist()
    hours = log_windows.filled_hours()
    clock = LogClock.of(hours)
    until = float((hours[-1] + 1) * WINDOW_S) if len(hours) else float(catalogue.upload_timestamp.max())
    counters = store.latest(ids).at(until, clock)
    after = int(hours[-1]) + 1 if len(hours) else 0
    recent = counters
    for hour in window_rows.unfolded():
        place_of = {each: row for row, each in enumerate(ids)}
        elapsed = clock.at(np.array([hour.window * WINDOW_S])) - clock.at(np.array([until]))
        recent = advance(recent, elapsed)
        counts = window_rows.counts_of([hour], place_of)
        recent[counts.content] += np.tile(counts.counts, (1, len(HALF_LIVES_S)))
    return _Counted(until, counters, window_rows.population_before(after), popularity(recent))


def _sequential(
    previous: _Previous | None, arrays: SnapshotArrays, *, until: datetime, refit: bool
) -> tuple[SequentialItemModel | None, int, bool]:
    """The sequential model to use, how many events the log had when it was fitted, and whether that was now."""
    row_of = {each: row for row, each in enumerate(arrays.content_id.tolist())}
    events = log_windows.filled_events()
    fitted_on = 0 if previous is None else previous.manifest.sequential_events
    if previous is not None and not refit and events <= (1 + GROWTH) * fitted_on:
        model = previous.snapshot.sequential
        if model is None:
            return None, fitted_on, False
        moved = np.array([row_of.get(each, UNKNOWN) for each in previous.snapshot.content_id.tolist()], np.int64)
        return model.on(moved, len(row_of)), fitted_on, False
    log = interactions_between(None, until, types=ENJOYABLE)
    row = np.array([row_of.get(each, UNKNOWN) for each in log.contents.tolist()], np.int64)
    return behaviour.fit(*enjoyed(log, row, arrays.duration_s), len(row_of)), events, True


def _documents(catalogue: ContentTable) -> list[str]:
    """What the encoder reads of each content: caption, tags and category."""
    return [f"{text} {category}".strip() for text, category in zip(catalogue.text, catalogue.category, strict=True)]


def _changed_at() -> str:
    changed_at = catalogue_changed_at()
    return "" if changed_at is None else changed_at.isoformat()


def _root() -> Path:
    return Path(settings.SNAPSHOT_DIR)
