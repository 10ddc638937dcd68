"""Lengths of clips by id, remembered per process: a batch of views asks the catalogue at most once.

A clip that is unknown is remembered as such too, so that events about contents nobody registered cost no query each.
"""

import time
from collections.abc import Iterable
from typing import Final

from events.models import Content

REMEMBER: Final = 200_000
REMEMBER_S: Final = 60.0


class _Known:
    """What was read since `_until` was set; dropped as a whole when it is old or full."""

    def __init__(self) -> None:
        self._lengths: dict[str, float | None] = {}
        self._until = 0.0

    def of(self, content_ids: Iterable[str]) -> dict[str, float | None]:
        """Length in seconds per id, None where it is unknown."""
        moment = time.monotonic()
        if moment > self._until or len(self._lengths) > REMEMBER:
            # A new dict: another thread may be reading the old one.
            self._lengths, self._until = {}, moment + REMEMBER_S
        known = self._lengths
        missing = {content_id for content_id in content_ids if content_id not in known}
        if missing:
            found = dict(Content.objects.filter(pk__in=missing).values_list("content_id", "duration_s"))
            known.update((content_id, found.get(content_id)) for content_id in missing)
        return known

    def clear(self) -> None:
        self._lengths = {}


_known = _Known()


def durations(content_ids: Iterable[str]) -> dict[str, float | None]:
    """Seconds per content id, None where the catalogue does not know; the mapping holds others as well."""
    return _known.of(content_ids)


def forget() -> None:
    """Drop what this process remembers."""
    _known.clear()
