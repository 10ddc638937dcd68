"""New uploads: without a source of their own they would never be seen, and so never become popular."""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import FeedQuery, Ids

RECENT_S = 7 * 86_400.0
NEWEST_SHARE = 0.1
"""In a catalogue without recent uploads (an import, a quiet week) the newest tenth still counts as fresh."""


@dataclass(slots=True)
class Fresh:
    """Active contents of the last seven days, or the newest tenth of the catalogue if that is more; newest first."""

    shelf: Shelf
    name: str = "fresh"

    def retrieve(self, query: FeedQuery, limit: int) -> Ids:
        """At most `limit` rows, newest first, without what the user has seen."""
        newest, uploaded_s = self.shelf.newest, self.shelf.uploaded_s
        now_s = query.now.timestamp()
        # Twenty looks instead of an age for every content of the catalogue.
        recent = bisect_right(newest, RECENT_S, key=lambda row: now_s - uploaded_s[row])
        fresh = newest[: max(recent, int(np.ceil(NEWEST_SHARE * len(newest))))][: limit + len(query.seen)]
        return fresh[~np.isin(fresh, query.seen)][:limit]
