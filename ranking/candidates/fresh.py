"""New uploads: without a source of their own they would never be seen, and so never become popular."""

import zlib
from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.lookup import among
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
    `reach` sums up how much the first of those need it.
    """

    shelf: Shelf
    due: Ids = field(default_factory=lambda: np.empty(0, np.int64))
    reach: NDArray[np.float64] = field(default_factory=lambda: np.empty(0, np.float64))
    name: str = "fresh"

    def retrieve(self, query: FeedQuery, limit: int) -> Ids:
        """At most `limit` rows, without what the user has seen."""
        first = self._due(query, limit // 2)
        rest = self._newest(query, limit)
        return np.concatenate([first, rest[~among(rest, first)]])[:limit]

    def _due(self, query: FeedQuery, limit: int) -> Ids:
        """Every user begins at another place of the list, so that all of it is reached, what needs it most oftenest."""
        count = len(self.due)
        first = 0
        if count > limit:
            lot = zlib.crc32((query.user_id or "").encode()) / 2**32
            first = min(int(np.searchsorted(self.reach, lot * self.reach[-1], side="right")), count - 1)
        # No more than the seen ones can stand in the way, and those that were withdrawn: then all are looked at.
        for depth in (min(limit + len(query.seen), count), count):
            rows = self.due[np.arange(first, first + depth) % max(count, 1)]
            waiting = rows[self.shelf.active[rows] & ~among(rows, query.seen)]
            if len(waiting) >= limit:
                break
        return waiting[:limit]

    def _newest(self, query: FeedQuery, limit: int) -> Ids:
        newest, uploaded_s = self.shelf.newest, self.shelf.uploaded_s
        now_s = query.now.timestamp()
        # Twenty looks instead of an age for every content of the catalogue.
        recent = bisect_right(newest, RECENT_S, key=lambda row: now_s - uploaded_s[row])
        fresh = newest[: max(recent, int(np.ceil(NEWEST_SHARE * len(newest))))][: limit + len(query.seen)]
        return fresh[~among(fresh, query.seen)][:limit]
