"""The feature store: counter states and embeddings in Postgres, and the snapshot that serving reads.

`latest` and `as_of` answer for any contents; `as_of` never with a value from after the moment. `snapshot` gives the
newest memory-mapped snapshot of this installation, cached per process and re-checked at most once a second.
"""

import io
import logging
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from numpy.typing import NDArray

from features import snapshot_files, telemetry
from features.extraction.aggregates import CounterStates
from features.extraction.definitions import COUNTER_SET, COUNTERS, WINDOW_S
from features.extraction.snapshot import ContentSnapshot
from features.models import Embedding
from features.pgcopy import encode_rows

logger = logging.getLogger(__name__)

RECHECK_S: Final = 1.0
"""A new snapshot serves everywhere within this."""


def put_counters(
    content_ids: NDArray[np.object_],
    *,
    content: NDArray[np.int64],
    window: NDArray[np.int64],
    states: CounterStates,
) -> None:
    """Write the states of n (content, window) pairs that are not stored yet.

    Parameters
    ----------
    content_ids : vocabulary
    content : int array (n,), codes into it
    window : int array (n,), hours since 1970 UTC
    """
    if len(content) == 0:
        return
    moments = [(window * WINDOW_S).astype(np.float64), states.as_of]
    rows = encode_rows(content_ids.tolist(), content, moments, COUNTER_SET, states.state)
    with connection.cursor() as cursor:
        cursor.copy_expert(
            "COPY content_features (content_id, window_start, as_of, feature_set, vector) FROM STDIN (FORMAT binary)",
            io.BytesIO(rows),
        )


def latest(content_ids: Sequence[str]) -> CounterStates:
    """The newest counter state of each content; `NEVER` and zeros for those without events."""
    return _states(content_ids, "TRUE", [])


def as_of(content_ids: Sequence[str], moments: Sequence[datetime]) -> CounterStates:
    """The counter state of each content as known at its moment: the newest one that holds for then or before."""
    if len(content_ids) != len(moments):
        raise ValueError(f"as_of needs one moment per content; got {len(moments)} for {len(content_ids)}")
    return _states(content_ids, "f.as_of <= asked.moment", list(moments))


def before_window(content_ids: Sequence[str], window_start: datetime) -> CounterStates:
    """The counter state of each content before a window was added."""
    return _states(content_ids, "f.window_start < asked.moment", [window_start] * len(content_ids))


def _states(content_ids: Sequence[str], condition: str, moments: list[datetime]) -> CounterStates:
    states = CounterStates.empty(len(content_ids))
    if not content_ids:
        return states
    with connection.cursor() as cursor:
        cursor.execute(
            # One descent of the index content_features_once per content.
            "SELECT asked.at - 1, date_part('epoch', found.as_of), found.vector "  # noqa: S608  fixed conditions
            "FROM unnest(%s::text[], %s::timestamptz[]) WITH ORDINALITY AS asked(content_id, moment, at), "
            "LATERAL (SELECT f.as_of, f.vector FROM content_features f WHERE f.content_id = asked.content_id "
            f"AND f.feature_set = %s AND {condition} ORDER BY f.window_start DESC LIMIT 1) AS found",
            [list(content_ids), moments or [None] * len(content_ids), COUNTER_SET],
        )
        rows = cursor.fetchall()
    if rows:
        at, known, vectors = zip(*rows, strict=True)
        states.as_of[list(at)] = known
        states.state[list(at)] = np.array(vectors, np.float32).reshape(-1, len(COUNTERS))
    return states


@transaction.atomic
def put_embeddings(content_ids: Sequence[str], vectors: NDArray[np.float32], *, encoder: str, now: datetime) -> None:
    """Store combined vectors of new or changed contents; those of other encoders are dropped: nothing compares."""
    kind = encoder.partition("-")[0]
    Embedding.objects.filter(encoder__startswith=f"{kind}-").exclude(encoder=encoder).delete()
    Embedding.objects.bulk_create(_rows(content_ids, vectors, encoder, now), batch_size=2000, ignore_conflicts=True)


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


class _Current:
    """The snapshot this process serves from. One thread at a time looks for a newer one; the others go on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._checked_at = -np.inf
        self._seen: tuple[Path, int] | None = None
        self._snapshot: ContentSnapshot | None = None

    def get(self) -> ContentSnapshot | None:
        if time.monotonic() - self._checked_at < RECHECK_S:
            return self._snapshot
        # Who finds the lock taken serves what there is, except at the very first request.
        if self._lock.acquire(blocking=self._seen is None):
            try:
                if time.monotonic() - self._checked_at >= RECHECK_S:
                    self._refresh()
                    self._checked_at = time.monotonic()
            finally:
                self._lock.release()
        return self._snapshot

    def forget(self) -> None:
        with self._lock:
            self._checked_at, self._seen, self._snapshot = -np.inf, None, None

    def _refresh(self) -> None:
        folder = snapshot_files.current(Path(settings.SNAPSHOT_DIR))
        if folder is None or not folder.exists():
            return
        # The inode tells a folder that was made anew, after damage, from the one that was tried.
        seen = folder, folder.stat().st_ino
        if seen == self._seen:
            return
        try:
            self._snapshot = snapshot_files.load(folder)
            telemetry.show(self._snapshot)
        except snapshot_files.SnapshotError:
            # An old snapshot is better than none. It is not tried again until there is another one.
            logger.exception("the content snapshot %s cannot be used", folder.name)
        # Not before: the first threads wait as long as nothing was seen.
        self._seen = seen


_current = _Current()


def snapshot() -> ContentSnapshot | None:
    """The newest snapshot; None when none was made yet. Cheap enough for every request, safe from any thread."""
    return _current.get()


def forget() -> None:
    """Drop the cached snapshot of this process, so that the next call of `snapshot` looks at the disk."""
    _current.forget()
