"""Fixed orders in the place of a ranker: for surfaces that promise an order instead of a guess."""

from dataclasses import dataclass

import numpy as np

from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import FeedQuery, Ids, Scores


@dataclass(slots=True)
class ByUpload:
    """Latest upload first: the score is minus the age in days."""

    shelf: Shelf
    version: str = "latest"

    def score(self, query: FeedQuery, candidates: Ids) -> Scores:
        """One finite score per candidate."""
        # float32 would round moments since 1970 to minutes; ages it keeps to the second.
        age_s = query.now.timestamp() - self.shelf.uploaded_s[candidates]
        return np.asarray(-age_s / 86_400.0, np.float32)


@dataclass(slots=True)
class ByTrend:
    """What trends first, strongest first, with scores above 1; then by popularity, with scores below."""

    shelf: Shelf
    rising: Ids
    version: str = "trending"

    def score(self, query: FeedQuery, candidates: Ids) -> Scores:
        """One finite score per candidate."""
        place = {int(row): number for number, row in enumerate(self.rising)}
        popularity = self.shelf.popularity[candidates]
        score = popularity / (1.0 + popularity.max(initial=0.0))
        rises = [1.0 + 1.0 / (1 + place[row]) if row in place else 0.0 for row in candidates.tolist()]
        return np.asarray(np.maximum(score, np.array(rises)), np.float32)
