"""What people usually watch next after the user's last positives."""

from dataclasses import dataclass

import numpy as np

from ranking.pipeline.shelf import SessionTaste, Shelf
from ranking.pipeline.stages import FeedQuery, Ids


@dataclass(slots=True)
class Sequential:
    """The contents that the sequential item model scores above zero for this session."""

    shelf: Shelf
    taste: SessionTaste
    name: str = "sequential"

    def retrieve(self, query: FeedQuery, limit: int) -> Ids:
        """At most `limit` rows, best first, without what the user has seen; empty without positives or a model."""
        if self.shelf.successors is None or len(self.taste.positives) == 0:
            return np.empty(0, np.int64)
        scores = np.array(self.shelf.successors(self.taste.positives), np.float32)
        scores[query.seen] = 0.0
        rows = np.flatnonzero(scores > 0.0)
        return rows[np.argsort(-scores[rows], kind="stable")][:limit].astype(np.int64)
