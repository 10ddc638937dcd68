"""Lengths of clips by id, remembered per process: a view must not cost a query.

A catalogue of ordinary size is read as a whole once a minute; of a larger one, what a batch asks for, at most once. A
clip that is unknown is remembered as such too, so that events about contents nobody registered cost no query each.
"""

import threading
import time
from collections.abc import Collection
from typing import Final, NamedTuple

from events.models import Content

REMEMBER: Final = 200_000
REMEMBER_S: Final = 60.0
# About 30 ms a minute; asking for clips one by one is dearer from some hundred views a minute on.
WHOLE: Final = 20_000


class _Snapshot(NamedTuple):
    """What was read at one moment and since; `is_whole` where an id that is missing has no known length."""

    lengths: dict[str, float | None]
    is_whole: bool
    until: float


_NOTHING: Final = _Snapshot({}, False, 0.0)


class _Known:
    """What was read last; dropped as a whole when it is old or full."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._snapshot = _NOTHING

    def of(self, content_ids: Collection[str]) -> dict[str, float | None]:
        """Length in seconds per id; None, or no entry, where it is unknown."""
        snapshot = self._snapshot
        if time.monotonic() > snapshot.until or len(snapshot.lengths) > REMEMBER:
            snapshot = self._renewed(snapshot)
        known = snapshot.lengths
        if not snapshot.is_whole:
            missing = {content_id for content_id in content_ids if content_id not in known}
            if missing:
                found = dict(Content.objects.filter(pk__in=missing).values_list("content_id", "duration_s"))
                known.update((content_id, found.get(content_id)) for content_id in missing)
        return known

    def _renewed(self, old: _Snapshot) -> _Snapshot:
        """What the catalogue says now. One thread asks; the others go on with what they have instead of waiting."""
        if not self._lock.acquire(blocking=False):
            return old
        try:
            rows = Content.objects.filter(duration_s__isnull=False).values_list("content_id", "duration_s")
            lengths = dict(rows[: WHOLE + 1])
            self._snapshot = _Snapshot(lengths, len(lengths) <= WHOLE, time.monotonic() + REMEMBER_S)
            return self._snapshot
        finally:
            self._lock.release()

    def clear(self) -> None:
        self._snapshot = _NOTHING


_known = _Known()


def durations(content_ids: Collection[str]) -> dict[str, float | None]:
    """Seconds per content id; None, or no entry, where the catalogue does not know. It holds others as well."""
    return _known.of(content_ids) if content_ids else {}


def forget() -> None:
    """Drop what this process remembers."""
    _known.clear()
