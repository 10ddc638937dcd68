"""Contents like those the user enjoyed: nearest neighbours of the taste vector in the embedding space."""

from dataclasses import dataclass

import numpy as np

from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import FeedQuery, Ids

SIMILARITY_FLOOR = 0.1
"""Cosine below which likeness is noise; the other sources are better guesses there."""


@dataclass(slots=True)
class ContentBased:
    """Contents whose cosine with the user's taste exceeds a threshold (the source design's content-based filter)."""

    shelf: Shelf
    threshold: float = SIMILARITY_FLOOR
    name: str = "content_based"

    def retrieve(self, query: FeedQuery, limit: int) -> Ids:
        """At most `limit` rows, most similar first, active and unseen; none on a cold start."""
        if query.user_vector is None or self.shelf.nearest is None or len(self.shelf) == 0:
            return np.empty(0, np.int64)
        # The index forgets nothing, so it is told what may come out, and fetches more where that is in the way.
        allowed = self.shelf.active.astype(np.bool_)
        allowed[query.seen] = False
        rows, cosine = self.shelf.nearest(query.user_vector, limit, allowed)
        return rows[cosine > self.threshold].astype(np.int64)
