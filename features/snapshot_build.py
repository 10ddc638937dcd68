"""Make the snapshot that serving reads, from the catalogue, the newest counter states and the learned models.

Counters are as of the last hour with events, not of the moment of writing: while nothing happens at all, a snapshot
stays the same, byte for byte. `extraction.log_clock` says why an imported log of 2022 does not fade for years either.

Call it under the lock of `materialize`.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from events import queries
from events.columnar.interactions import ContentTable
from events.queries import uploads
from features import content_embeddings, hiding, learned_sequences, log_windows, snapshot_files, store, window_rows
from features.content_embeddings import GROWTH, Known
from features.embeddings.behaviour import SequentialItemModel
from features.embeddings.combine import ContentEncoder
from features.embeddings.index import VectorIndex
from features.embeddings.word2vec import ItemVectors
from features.extraction.aggregates import advance
from features.extraction.content import content_block
from features.extraction.definitions import COUNTER_SET, DAY_S, HALF_LIVES_S, WINDOW_S
from features.extraction.log_clock import LogClock
from features.extraction.population import Population
from features.extraction.snapshot import UNKNOWN, ContentSnapshot, encode, popularity
from features.looks import looks_of
from features.snapshot_files import Manifest, SnapshotArrays, SnapshotError

logger = logging.getLogger(__name__)

SOLVED_HOURLY: Final = 1_000
"""Up to so many items a solution takes some tenths of a second; at 4,096, where it ends, it takes 64 times as long."""
WORTH: Final = 0.01
"""Share of new events that is worth a solution over more items than that; less of them wait for the end of the day."""


NO_REST: Final = 5_000
REST_S: Final = 5e-4
"""Per content: a snapshot of 100,000 takes some 7 s of a processor, and rests 50 s; up to `NO_REST` none is needed."""


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
    encoder: ContentEncoder


@dataclass(frozen=True, slots=True)
class _Learned:
    """Models of behaviour, how many events the log had when they were fitted, and whether that was now."""

    sequential: SequentialItemModel | None
    word_vectors: ItemVectors | None
    events: int
    anew: bool


@dataclass(frozen=True, slots=True)
class Source:
    """The catalogue, and what was known before it was read: a change in between is found by the next call.

    Attributes
    ----------
    changed_at : `content_embeddings.changed_at`
    erasures : what there was to answer
    undone : of these, by name, the contents that were uploaded anew since
    settled : erasures that an earlier snapshot has answered
    """

    catalogue: ContentTable
    changed_at: str
    erasures: Sequence[hiding.Erasure]
    undone: frozenset[str]
    settled: frozenset[str]

    def answered(self) -> tuple[str, ...]:
        """The erasures that a snapshot of this catalogue has answered."""
        still = hiding.of(self.erasures, self.catalogue.content_id.tolist()).keys() - self.undone - self.settled
        return tuple(sorted({each.name for each in self.erasures} - still))


def source(read: Callable[[], ContentTable]) -> Source:
    """Take a catalogue in, in the order that makes a snapshot of it right."""
    root = _root()
    erasures = hiding.read(root, _listed(root))
    rows = uploads([each.content_id for each in erasures if each.content_id])
    undone = {each.name for each in erasures if each.content_id in rows and each.undone_by(*rows[each.content_id])}
    settled = snapshot_files.settled(root)
    changed_at = content_embeddings.changed_at()
    return Source(read(), changed_at, erasures, frozenset(undone), settled)


def _listed(root: Path) -> frozenset[str]:
    """The erasures there are. Where nobody knows, no snapshot made before may serve any more."""
    try:
        return hiding.names(root)
    except hiding.ErasuresUnreadable:
        if not hiding.broken(root):
            raise
        logger.exception("what was erased is not known any more; making all snapshots anew")
        snapshot_files.discard(root)
        hiding.repair(root)
        return hiding.names(root)


def build(source: Source, *, until: datetime, refit: bool) -> BuildReport:
    """Write a snapshot unless the one that serves is the same.

    Parameters
    ----------
    until : stamps new embeddings, and what the sequential model may learn from
    refit : learn encoder and sequential model anew, whatever their age
    """
    catalogue = source.catalogue
    if len(catalogue) == 0:
        return BuildReport(None, written=False, encoded=0, fitted=())
    previous = _previous()
    known = None if previous is None else Known(previous.snapshot, previous.encoder)
    answered = source.answered()
    # Usually nothing was erased since, and nobody looks through the words.
    erased = previous is not None and not set(answered) <= set(previous.manifest.answered)
    made = content_embeddings.make(catalogue, known=known, refit=refit, now=until, erased=erased)
    arrays, counted_until = _arrays(catalogue, made.embedding, made.source_hash)
    learned = _learned(previous, arrays, counted_until, until=until, refit=refit)
    manifest = Manifest(
        until=counted_until,
        counter_set=COUNTER_SET,
        encoder_version=made.encoder.version_,
        encoder_contents=made.encoder.contents_["words"],
        sequential_events=learned.events,
        catalogue_changed_at=source.changed_at,
        answered=answered,
    )
    complete = snapshot_files.write(
        _root(), arrays, manifest=manifest, encoder=made.encoder, sequential=learned.sequential,
        word_vectors=learned.word_vectors, index=_index(previous, made.embedding),
    )  # fmt: skip
    fitted = {"encoder": previous is None or made.encoder is not previous.encoder, "sequential": learned.anew}
    return BuildReport(
        complete.version,
        written=previous is None or complete.version != previous.manifest.version,
        encoded=made.encoded,
        fitted=tuple(name for name, anew in fitted.items() if anew),
    )


def catalogue_moved() -> bool:
    """Whether the catalogue has changed since the snapshot that serves was made, or there is none of a catalogue.

    Contents that were taken out are noticed where they were erased: those are not to be kept in files any longer.
    """
    root = _root()
    try:
        folder = snapshot_files.current(root)
        known = None if folder is None else snapshot_files.read_manifest(folder)
        pending = hiding.names(root) - (frozenset() if known is None else frozenset(known.answered))
    except (SnapshotError, hiding.ErasuresUnreadable):
        return True
    if (known.catalogue_changed_at if known else "") != content_embeddings.changed_at():
        return True
    erased = {each.content_id for each in hiding.read(root, pending) if each.content_id}
    return bool(erased) and known is not None and len(uploads(erased)) < len(erased)


def is_due() -> bool:
    """Whether the catalogue has moved, and a new snapshot is worth its price.

    What comes between two snapshots is in the memory of those who serve (`arrivals`), so a large catalogue need not be
    written for every upload: it rests until it costs a small part of the time, unless the room for uploads runs out.
    """
    if not catalogue_moved():
        return False
    try:
        folder = snapshot_files.current(_root())
        if folder is None:
            return True
        known, room = snapshot_files.read_manifest(folder), snapshot_files.room_of(folder)
    except SnapshotError:
        return True
    if room.contents <= NO_REST or room.age_s >= REST_S * room.contents:
        return True
    half, since = room.free // 2, content_embeddings.catalogue_moment(known.catalogue_changed_at)
    return len(queries.content_changes(since, newest=half)) >= half


def forget_erased() -> None:
    """Remove older snapshots that still hold what was erased, see `hiding`."""
    snapshot_files.forget_erased(_root())


def _previous() -> _Previous | None:
    """What serves now, or else the newest that could; None where there is none: then all is made anew."""
    root = _root()
    try:
        pointed = snapshot_files.current(root)
    except SnapshotError:
        logger.exception("nobody knows which content snapshot serves")
        pointed = None
    for folder in dict.fromkeys([pointed, *snapshot_files.newest_first(root)]):
        try:
            if folder is not None:
                manifest = snapshot_files.read_manifest(folder)
                return _Previous(manifest, snapshot_files.load(folder), ContentEncoder.load(folder))
        except (SnapshotError, *snapshot_files.DAMAGE):
            logger.exception("the content snapshot %s cannot be used; making what it has anew", folder)
    return None


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
        upload_timestamp=catalogue.upload_timestamp,
        until=counted.until,
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
        look=looks_of(catalogue.content_id),
        sound=catalogue.sound,
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
    recent, reached = counters, until
    # Before the states' last hour there may be one that cannot be counted: it waits, and holds up no other.
    for hour in window_rows.unfolded(after):
        place_of = {each: row for row, each in enumerate(ids)}
        begins = float(hour.window * WINDOW_S)
        recent, reached = advance(recent, clock.at(np.array([begins])) - clock.at(np.array([reached]))), begins
        counts = window_rows.counts_of([hour], place_of)
        recent[counts.content] += np.tile(counts.counts, (1, len(HALF_LIVES_S)))
    return _Counted(until, counters, window_rows.population_before(after), popularity(recent))


def _index(previous: _Previous | None, embedding: NDArray[np.float32]) -> VectorIndex:
    """The index of the embeddings: the one that serves while none has changed, else a new one with its lists."""
    if previous is None:
        return VectorIndex.build(embedding)
    if np.array_equal(previous.snapshot.embedding, embedding):
        return previous.snapshot.index
    return VectorIndex.build(embedding, like=previous.snapshot.index)


def _learned(
    previous: _Previous | None, arrays: SnapshotArrays, counted_until: float, *, until: datetime, refit: bool
) -> _Learned:
    """The models of behaviour to use: those that serve, moved to the new rows, until the log has outgrown them."""
    events = log_windows.filled_events()
    if previous is not None and not refit and not _outgrown(previous, events, counted_until):
        fitted_on, old = previous.manifest.sequential_events, previous.snapshot
        row_of = {each: row for row, each in enumerate(arrays.content_id.tolist())}
        moved = np.array([row_of.get(each, UNKNOWN) for each in old.content_id.tolist()], np.int64)
        return _Learned(
            None if old.sequential is None else old.sequential.on(moved, len(row_of)),
            None if old.word_vectors is None else old.word_vectors.on(moved, len(row_of)),
            fitted_on,
            anew=False,
        )
    sequential, vectors = learned_sequences.learn(arrays.content_id, arrays.duration_s, until=until, anew=refit)
    return _Learned(sequential, vectors, events, anew=True)


def _outgrown(previous: _Previous, events: int, counted_until: float) -> bool:
    """Whether the models are to be learned again: with enough new events at once, with any once an hour is over.

    Where that costs much, an hour is not enough: it takes a hundredth of new events, or the end of a UTC day. Without
    the sums of what they were learned from they are, too: those go when somebody is erased.
    """
    fitted, serving = previous.manifest, previous.snapshot.sequential
    if not learned_sequences.path().exists() or events > (1 + GROWTH) * fitted.sequential_events:
        return True
    if events == fitted.sequential_events or counted_until <= fitted.until:
        return False
    if serving is None or len(serving.items) <= SOLVED_HOURLY:
        return True
    day_over = counted_until // DAY_S > fitted.until // DAY_S
    return day_over or abs(events - fitted.sequential_events) >= WORTH * fitted.sequential_events


def _root() -> Path:
    return Path(settings.SNAPSHOT_DIR)
