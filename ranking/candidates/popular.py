"""Contents that many people enjoy lately: the source that works for everybody, also for a user nobody knows."""

from dataclasses import dataclass

import numpy as np

from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import FeedQuery, Ids


@dataclass(slots=True)
class Popular:
    """Active contents by decayed engagement, without what the user has seen; row order decides a tie."""

    shelf: Shelf
    name: str = "popular"

    def retrieve(self, query: FeedQuery, limit: int) -> Ids:
        """At most `limit` rows with any engagement at all, best first."""
        open_rows = (self.shelf.popularity > 0.0) & self.shelf.active
        open_rows[query.seen] = False
        rows = np.flatnonzero(open_rows)
        return rows[np.argsort(-self.shelf.popularity[rows], kind="stable")][:limit].astype(np.int64)
