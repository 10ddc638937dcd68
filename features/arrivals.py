"""What was uploaded since the snapshot was written, taken into the memory of a process that serves.

A snapshot is written as a whole, which takes the longer the more contents there are. An upload must not wait for that:
whoever serves asks the database once a second, by the index content_updated, what has changed since, and puts the new
contents behind the others (`extraction.growing`). Nothing is shared between processes, and nothing of it is stored: the
next snapshot has them all, and begins with free rows.

Only the newest `AT_ONCE` changes are looked at each time. What an import of many thousands buries waits for the
snapshot.
"""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from events import queries
from events.catalogue_reader import OVERLAP
from events.columnar.interactions import ContentTable
from features import content_embeddings, snapshot_files, store
from features.embeddings.combine import ContentEncoder
from features.extraction.growing import GrowingSnapshot
from features.extraction.snapshot import ContentSnapshot
from features.snapshot_files import SnapshotError

logger = logging.getLogger(__name__)

AT_ONCE: Final = 2_000
LATE: Final = timedelta(seconds=20)
"""A row is stamped before its transaction ends; what takes longer than this is left to the snapshot."""
ERASED_S: Final = 5.0
"""So often it is asked whether what was taken in is still in the catalogue. No page depends on it: it is checked."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The snapshot as it was written, the same with what came since, and int64 rows of that which changed just now."""

    base: ContentSnapshot
    snapshot: ContentSnapshot
    changed: NDArray[np.int64]


class _Since:
    """One snapshot, and how far the catalogue was read since it was written."""

    def __init__(self, base: ContentSnapshot) -> None:
        folder = Path(settings.SNAPSHOT_DIR) / base.version
        self.base = base
        self.growing = GrowingSnapshot(base, snapshot_files.load_growing(folder))
        self.encoder = ContentEncoder.load(folder)
        self.made_from = content_embeddings.catalogue_moment(snapshot_files.read_manifest(folder).catalogue_changed_at)
        self.since = self.made_from - OVERLAP
        self.known: dict[str, datetime] = {}
        self.asked_at = time.monotonic()

    def refresh(self) -> NDArray[np.int64]:
        """Take in what changed; returns the rows."""
        found = queries.content_changes(self.since, newest=AT_ONCE)
        news = [each for each, at in found.items() if self._is_news(each, at)]
        rows = self._take(queries.catalogue_table(content_ids=news)) if news else np.empty(0, np.int64)
        self.known |= found
        if found:
            self.since = max(self.since, max(found.values()) - LATE)
            self.known = {each: at for each, at in self.known.items() if at >= self.since}
        return np.union1d(rows, self._without_erased())

    def _is_news(self, content_id: str, at: datetime) -> bool:
        if content_id in self.base.row_of and at <= self.made_from:
            return False
        return self.known.get(content_id) != at

    def _take(self, table: ContentTable) -> NDArray[np.int64]:
        known = self.base.rows(table.content_id.tolist()) >= 0
        old, new = table.rows(np.flatnonzero(known)), table.rows(np.flatnonzero(~known))
        if len(new) > self.growing.free:
            logger.warning("%d new contents for %d free rows; the rest waits for the next snapshot",
                           len(new), self.growing.free)  # fmt: skip
        changed = self.growing.revise(old)
        if len(new):
            changed = np.union1d(changed, self.growing.add(new, content_embeddings.encode(new, self.encoder)))
        return changed

    def _without_erased(self) -> NDArray[np.int64]:
        arrived = self.growing.arrived
        if not arrived or time.monotonic() - self.asked_at < ERASED_S:
            return np.empty(0, np.int64)
        self.asked_at = time.monotonic()
        return self.growing.forget(set(arrived) - queries.uploads(arrived).keys())


_lock = threading.Lock()
_since: list[_Since] = []


def refresh() -> Arrivals | None:
    """The snapshot that serves with all that came since; None while there is none. One thread at a time.

    Costs one query, two more where something came. Where a snapshot has no room for more it is as it was written.
    """
    with _lock:
        base = store.snapshot()
        if base is None:
            return None
        if not _since or _since[0].base is not base:
            _since.clear()
            try:
                _since.append(_Since(base))
            except (SnapshotError, *snapshot_files.DAMAGE):
                # Its folder went meanwhile; there is a newer one.
                logger.warning("the snapshot %s takes in nothing", base.version, exc_info=True)
                return Arrivals(base, base, np.empty(0, np.int64))
        changed = _since[0].refresh()
        return Arrivals(base, _since[0].growing.snapshot, changed)


def forget() -> None:
    """Begin again at the next call."""
    with _lock:
        _since.clear()
