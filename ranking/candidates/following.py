"""New uploads of the creators a user follows: asked for by the user, so no guess at all."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ranking.pipeline.lookup import among
from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import FeedQuery, Ids

DEPTH: Final = 20_000
"""So many of the newest uploads are looked through; what is older is for the surface "following", which lists all."""


@dataclass(slots=True)
class Following:
    """Active contents of some creators among the newest uploads, latest first, without what the user has seen.

    `creators` are codes of the shelf.
    """

    shelf: Shelf
    creators: Ids
    name: str = "following"

    def retrieve(self, query: FeedQuery, limit: int) -> Ids:
        """At most `limit` rows; empty for a user who follows nobody."""
        if len(self.creators) == 0:
            return np.empty(0, np.int64)
        newest = self.shelf.newest[:DEPTH]
        theirs = newest[np.isin(self.shelf.creator[newest], self.creators)]
        return theirs[~among(theirs, query.seen)][:limit]
