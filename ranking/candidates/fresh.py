"""New uploads: without a source of their own they would never be seen, and so never become popular."""

import zlib
from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np

from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import FeedQuery, Ids

RECENT_S = 7 * 86_400.0
NEWEST_SHARE = 0.1
"""In a catalogue without recent uploads (an import, a quiet week) the newest tenth still counts as fresh."""


@dataclass(slots=True)
class Fresh:
    """Active contents of the last seven days, or the newest tenth of the catalogue if that is more; newest first.

    Before them come `due`, rows of contents that were promised more people than have met them yet (see
    `rerank.guarantee`), up to half of the list: in a catalogue with many uploads most of them would never be reached.
    """

    shelf: Shelf
    due: Ids = field(default_factory=lambda: np.empty(0, np.int64))
    name: str = "fresh"

    def retrieve(self, query: FeedQuery, limit: int) -> Ids:
        """At most `limit` rows, without what the user has seen."""
        first = self._due(query, limit // 2)
        rest = self._newest(query, limit)
        return np.concatenate([first, rest[~np.isin(rest, first)]])[:limit]

    def _due(self, query: FeedQuery, limit: int) -> Ids:
        """Every user begins at another place of the list, so that all of it is reached."""
        waiting = self.due[self.shelf.active[self.due] & ~np.isin(self.due, query.seen)]
        if len(waiting) <= limit:
            return waiting
        return np.roll(waiting, -(zlib.crc32((query.user_id or "").encode()) % len(waiting)))[:limit]

    def _newest(self, query: FeedQuery, limit: int) -> Ids:
        newest, uploaded_s = self.shelf.newest, self.shelf.uploaded_s
        now_s = query.now.timestamp()
        # Twenty looks instead of an age for every content of the catalogue.
        recent = bisect_right(newest, RECENT_S, key=lambda row: now_s - uploaded_s[row])
        fresh = newest[: max(recent, int(np.ceil(NEWEST_SHARE * len(newest))))][: limit + len(query.seen)]
        return fresh[~np.isin(fresh, query.seen)][:limit]
