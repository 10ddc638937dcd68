"""What is usually watched next: by the trained retriever where one serves, else by what follows what."""

from dataclasses import dataclass

import numpy as np

from ranking.pipeline.lookup import among
from ranking.pipeline.shelf import SessionTaste, Shelf
from ranking.pipeline.stages import FeedQuery, Ids


@dataclass(slots=True)
class Sequential:
    """The contents that are scored above zero for this session; a fused score is above zero where above the mean."""

    shelf: Shelf
    taste: SessionTaste
    name: str = "sequential"

    def retrieve(self, query: FeedQuery, limit: int) -> Ids:
        """At most `limit` rows, best first, without what the user has seen; empty without a past or a model."""
        scores = self.taste.finds(self.shelf)
        if scores is None:
            return np.empty(0, np.int64)
        rows = np.flatnonzero(scores > 0.0)
        # No more than the seen ones can stand in the way; ties at the cut are all kept, so that row order decides.
        most = limit + len(query.seen)
        if len(rows) > most:
            least = np.partition(scores[rows], len(rows) - most)[len(rows) - most]
            rows = rows[scores[rows] >= least]
        rows = rows[~among(rows, query.seen)]
        return rows[np.argsort(-scores[rows], kind="stable")][:limit].astype(np.int64)
