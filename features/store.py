"""The feature store: counter states and embeddings in Postgres, and the snapshot that serving reads.

`latest` and `as_of` answer for any contents; `as_of` never with a value from after the moment. `snapshot` gives the
newest memory-mapped snapshot of this installation, cached per process and re-checked at most once a second.
"""

import io
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from numpy.typing import NDArray

from events.queries import uploads
from features import hiding, snapshot_files, telemetry, window_rows
from features.extraction.aggregates import CounterStates, WindowCounts, fold
from features.extraction.definitions import COUNTER_SET, COUNTERS, DAY_S, WINDOW_S
from features.extraction.log_clock import LogClock
from features.extraction.snapshot import ContentSnapshot
from features.log_windows import filled_hours, moment
from features.models import ContentFeatures, Embedding
from features.pgcopy import decode_vectors, encode_rows

logger = logging.getLogger(__name__)

HOURS_PER_DAY: Final = int(DAY_S // WINDOW_S)
RECHECK_S: Final = 1.0
"""A new snapshot serves everywhere within this."""
VECTORS_AT_ONCE: Final = 50_000
"""Encoded for the database in one piece, some 100 MB; those of a million contents at once would be two gigabytes."""


def put_states(
    content_ids: Sequence[str], *, content: NDArray[np.int64], window: NDArray[np.int64], states: CounterStates
) -> None:
    """Write the states of some contents after some windows; those of the first UTC day replace what is there of it.

    Only the last window of each UTC day is kept of a content. Later days must have no states of these contents.

    Parameters
    ----------
    content_ids : the contents that are written; k of them
    content : int array (n,), codes into them
    window : int array (n,), hours since 1970 UTC, ascending
    states : of the n pairs
    """
    if len(content) == 0:
        return
    day = window // HOURS_PER_DAY
    first = int(day[0])
    last = np.full((int(day[-1]) - first + 1, len(content_ids)), -1, np.int64)
    # Of several windows of a day the last one is assigned last.
    last[day - first, content] = np.arange(len(window))
    kept = np.sort(last[last >= 0])
    moments = [(day[kept] * DAY_S).astype(np.float64), (window[kept] * WINDOW_S).astype(np.float64), states.as_of[kept]]
    rows = encode_rows(content_ids, content[kept], moments, COUNTER_SET, states.state[kept])
    again = [content_ids[place] for place in np.flatnonzero(last[0] >= 0).tolist()]
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM content_features WHERE content_id = ANY(%s) AND day_start = %s",
            [again, moment(first * HOURS_PER_DAY)],
        )
        cursor.copy_expert(
            "COPY content_features (content_id, day_start, window_start, as_of, feature_set, vector) "
            "FROM STDIN (FORMAT binary)",
            io.BytesIO(rows),
        )


def forget_states(content_ids: Sequence[str], *, since_day: int) -> None:
    """Drop the states of some contents from a day on (days since 1970 UTC)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM content_features WHERE content_id = ANY(%s) AND day_start >= %s",
            [list(content_ids), moment(since_day * HOURS_PER_DAY)],
        )


def latest(content_ids: Sequence[str]) -> CounterStates:
    """The newest counter state of each content; `NEVER` and zeros for those without events."""
    return _states(content_ids, "TRUE", [])


def as_of(content_ids: Sequence[str], moments: Sequence[datetime]) -> CounterStates:
    """The counter state of each content as known at its moment: after its last hour that was complete by then."""
    if len(content_ids) != len(moments):
        raise ValueError(f"as_of needs one moment per content; got {len(moments)} for {len(content_ids)}")
    base = _states(content_ids, "f.as_of <= asked.moment", list(moments))
    asked = np.array([each.timestamp() for each in moments])
    days = np.floor(asked / DAY_S).astype(np.int64)
    parts = [_since(base, asked, content_ids, np.flatnonzero(days == day), int(day)) for day in np.unique(days)]
    after, _ = fold(WindowCounts.joined(parts).sorted(), base, clock=LogClock.of(filled_hours()))
    return after


def _since(
    base: CounterStates, asked: NDArray[np.float64], content_ids: Sequence[str], pairs: NDArray[np.int64], day: int
) -> WindowCounts:
    """Counts of the hours of a day that are complete by each moment and that the state before does not know."""
    ids = sorted({content_ids[pair] for pair in pairs.tolist()})
    place_of = {each: place for place, each in enumerate(ids)}
    place = np.array([place_of[content_ids[pair]] for pair in pairs.tolist()], np.int64)
    parts = []
    for hour in window_rows.between(day * HOURS_PER_DAY, (day + 1) * HOURS_PER_DAY):
        counts = window_rows.counts_of([hour], place_of)
        row = np.full(len(ids), -1, np.int64)
        row[counts.content] = np.arange(len(counts))
        end = (hour.window + 1) * WINDOW_S
        known = hour.folded & (row[place] >= 0) & (end <= asked[pairs]) & (end > base.as_of[pairs])
        chosen = np.flatnonzero(known)
        window = np.full(len(chosen), hour.window, np.int64)
        parts.append(WindowCounts(window, pairs[chosen], counts.counts[row[place[chosen]]]))
    return WindowCounts.joined(parts)


def all_contents() -> list[str]:
    """Every content with a state, ascending."""
    return list(ContentFeatures.objects.order_by("content_id").values_list("content_id", flat=True).distinct())


def before_day(content_ids: Sequence[str], day: int) -> CounterStates:
    """The counter state of each content before a day (days since 1970 UTC)."""
    start = moment(day * HOURS_PER_DAY)
    return _states(content_ids, "f.day_start < asked.moment", [start] * len(content_ids))


def _states(content_ids: Sequence[str], condition: str, moments: list[datetime]) -> CounterStates:
    states = CounterStates.empty(len(content_ids))
    if not content_ids:
        return states
    asked: list[datetime | None] = [*moments] or [None] * len(content_ids)
    with connection.cursor() as cursor:
        query = cursor.mogrify(
            # One descent of the index content_features_once per content.
            "SELECT asked.at - 1, date_part('epoch', found.as_of), found.vector "  # noqa: S608  fixed conditions
            "FROM unnest(%s::text[], %s::timestamptz[]) WITH ORDINALITY AS asked(content_id, moment, at), "
            "LATERAL (SELECT f.as_of, f.vector FROM content_features f WHERE f.content_id = asked.content_id "
            f"AND f.feature_set = %s AND {condition} ORDER BY f.day_start DESC LIMIT 1) AS found",
            [list(content_ids), asked, COUNTER_SET],
        ).decode()
        buffer = io.BytesIO()
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT binary)", buffer)
    at, known, vectors = decode_vectors(buffer.getbuffer(), width=len(COUNTERS))
    states.as_of[at], states.state[at] = known, vectors
    return states


@transaction.atomic
def put_embeddings(content_ids: Sequence[str], vectors: NDArray[np.float32], *, encoder: str, now: datetime) -> None:
    """Store combined vectors of new or changed contents; those of other encoders are dropped: nothing compares."""
    kind = encoder.partition("-")[0]
    Embedding.objects.filter(encoder__startswith=f"{kind}-").exclude(encoder=encoder).delete()
    with connection.cursor() as cursor:
        # A whole catalogue may come at once: numbers as text, row by row, would take minutes.
        cursor.execute(
            "CREATE TEMP TABLE fresh_embedding (content_id text, as_of timestamptz, encoder text, vector real[]) "
            "ON COMMIT DROP"
        )
        for start in range(0, len(content_ids), VECTORS_AT_ONCE):
            ids, some = content_ids[start : start + VECTORS_AT_ONCE], vectors[start : start + VECTORS_AT_ONCE]
            moments = [np.full(len(ids), now.timestamp())]
            rows = encode_rows(ids, np.arange(len(ids)), moments, encoder, np.asarray(some, np.float32))
            cursor.copy_expert("COPY fresh_embedding FROM STDIN (FORMAT binary)", io.BytesIO(rows))
        cursor.execute(
            "INSERT INTO embedding (content_id, as_of, encoder, vector) "
            "SELECT content_id, as_of, encoder, vector FROM fresh_embedding ON CONFLICT DO NOTHING"
        )
        cursor.execute("DROP TABLE fresh_embedding")


def forget_modality(content_ids: Sequence[str], kind: str) -> None:
    """Drop the vectors of one modality, "sentence", "visual" or "audio", by whatever encoder."""
    Embedding.objects.filter(content_id__in=content_ids, encoder__startswith=f"{kind}-").delete()


def put_modality(content_ids: Sequence[str], vectors: NDArray[np.float32], *, encoder: str, now: datetime) -> None:
    """Store vectors of one modality for contents that have none of it."""
    Embedding.objects.bulk_create(_rows(content_ids, vectors, encoder, now), batch_size=2000)


def modality(content_ids: Sequence[str], *, encoder: str, dimensions: int) -> NDArray[np.float32]:
    """Vectors (n, d) of n contents by one encoder; zero rows for contents without one."""
    row_of = {content_id: row for row, content_id in enumerate(content_ids)}
    vectors = np.zeros((len(row_of), dimensions), np.float32)
    # One descent of the index embedding_once per content.
    known = Embedding.objects.filter(content_id__in=list(row_of), encoder=encoder)
    for content_id, vector in known.values_list("content_id", "vector").iterator(chunk_size=2000):
        vectors[row_of[content_id]] = vector
    return vectors


def _rows(content_ids: Sequence[str], vectors: NDArray[np.float32], encoder: str, now: datetime) -> list[Embedding]:
    return [
        Embedding(content_id=content_id, as_of=now, encoder=encoder, vector=vector)
        for content_id, vector in zip(content_ids, vectors.tolist(), strict=True)
    ]


def hide(content_id: str) -> None:
    """Have every process that serves from this folder hide a content until a snapshot without it is written, or with a
    later upload of it.
    """
    uploaded, _ = uploads([content_id]).get(content_id, (None, None))
    hiding.add(Path(settings.SNAPSHOT_DIR), content_id, uploaded=uploaded, erased=time.time())
    _current.recheck()


def note_erased_user() -> None:
    """Keep no older snapshot that was learned from a user who is erased now, once there is one without."""
    hiding.add_user(Path(settings.SNAPSHOT_DIR))


@dataclass(frozen=True, slots=True)
class _Served:
    """A snapshot as it is on the disk, and the erasures that need not be applied to it."""

    folder: Path
    whole: ContentSnapshot
    answered: frozenset[str]


class _Current:
    """The snapshot this process serves from. One thread at a time looks for a newer one; the others go on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._start()

    def _start(self) -> None:
        self._checked_at = -np.inf
        self._looked = False
        self._tried: tuple[Path | None, int] | None = None
        self._complaint = ""
        self._served: _Served | None = None
        self._erasures: dict[str, hiding.Erasure] = {}
        self._gone: frozenset[str] = frozenset()
        self._snapshot: ContentSnapshot | None = None

    def get(self) -> ContentSnapshot | None:
        if time.monotonic() - self._checked_at < RECHECK_S:
            return self._snapshot
        # Who finds the lock taken serves what there is, except at the very first request.
        if self._lock.acquire(blocking=not self._looked):
            try:
                if time.monotonic() - self._checked_at >= RECHECK_S:
                    self._refresh(Path(settings.SNAPSHOT_DIR))
                    # Not before: the first threads wait as long as nobody has looked.
                    self._looked, self._checked_at = True, time.monotonic()
            finally:
                self._lock.release()
        return self._snapshot

    def recheck(self) -> None:
        """Look at the disk at the next call, whenever the last look was."""
        self._checked_at = -np.inf

    def forget(self) -> None:
        with self._lock:
            self._start()

    def _refresh(self, root: Path) -> None:
        """Serve what the pointer names; where that cannot be used, what is served already, or the newest that can."""
        try:
            listed = hiding.names(root)
        except hiding.ErasuresUnreadable as error:
            # What is served goes on without what was known to be erased; nothing else may be served.
            self._complain("erasures", str(error))
            return
        before = self._served
        try:
            folder = snapshot_files.current(root)
            self._complaint = ""
        except snapshot_files.SnapshotError as error:
            folder = None
            self._complain("pointer", str(error))
        # The inode tells a folder that was made anew, after damage, from the one that was tried.
        made = folder, _inode(folder)
        if made != self._tried:
            found = None if folder is None else _loaded(folder)
            if found is None and before is None:
                found = _newest_whole(root, other_than=folder)
                if found is not None and folder is None and not self._complaint:
                    self._complain("pointer", f"{root} has snapshots, and nothing says which one is to serve")
            self._served, self._tried = found or before, made
        if self._served is not None:
            self._apply(root, self._served, listed, anew=self._served is not before)

    def _complain(self, reason: str, words: str) -> None:
        """Say it once, not every second."""
        if words != self._complaint:
            self._complaint = words
            telemetry.complain(reason, words)

    def _apply(self, root: Path, served: _Served, listed: frozenset[str], *, anew: bool) -> None:
        """Hide what was erased from the snapshot that serves."""
        if listed:
            # It may have been written again, with the same bytes, since it was loaded.
            served = replace(served, answered=served.answered | snapshot_files.answered(served.folder))
        # One that is listed no more was answered by all snapshots that there are, which this one may not be among.
        gone = (listed if anew else listed | self._gone) - served.answered
        if not anew and gone == self._gone:
            return
        self._erasures |= {each.name: each for each in hiding.read(root, gone - self._erasures.keys())}
        hidden = hiding.of([self._erasures[name] for name in gone], served.whole.row_of)
        # Assigned once: other threads serve from it meanwhile.
        self._snapshot = served.whole.without(set(hidden.values()))
        self._served, self._gone = served, gone
        telemetry.show(self._snapshot)


def _inode(folder: Path | None) -> int:
    try:
        return 0 if folder is None else folder.stat().st_ino
    except OSError:
        return 0


def _loaded(folder: Path) -> _Served | None:
    """The snapshot of a folder; None where it is damaged, and then it is not tried again until it was made anew."""
    try:
        # An old snapshot is better than none.
        return _Served(folder, snapshot_files.load(folder), snapshot_files.answered(folder))
    except snapshot_files.SnapshotError as error:
        telemetry.complain("files", f"the content snapshot {folder.name} cannot be used: {error}")
        return None


def _newest_whole(root: Path, *, other_than: Path | None) -> _Served | None:
    """The newest of the older snapshots that can be used; None where there is none."""
    for folder in snapshot_files.newest_first(root):
        found = None if folder == other_than else _loaded(folder)
        if found is not None:
            logger.warning(
                "the older content snapshot %s serves instead of %s", folder.name, other_than and other_than.name
            )
            return found
    return None


_current = _Current()


def snapshot() -> ContentSnapshot | None:
    """The newest snapshot; None when none was made yet. Cheap enough for every request, safe from any thread."""
    return _current.get()


def forget() -> None:
    """Drop the cached snapshot of this process, so that the next call of `snapshot` looks at the disk."""
    _current.forget()
