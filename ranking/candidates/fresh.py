"""New uploads: without a source of their own they would never be seen, and so never become popular."""

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
        newest = self.shelf.newest
        age_s = query.now.timestamp() - self.shelf.uploaded_s[newest]
        recent = int(np.searchsorted(age_s, RECENT_S, side="right"))
        fresh = newest[: max(recent, int(np.ceil(NEWEST_SHARE * len(newest))))][: limit + len(query.seen)]
        return fresh[~np.isin(fresh, query.seen)][:limit]
