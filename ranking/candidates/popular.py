"""Contents that many people enjoy lately: the source that works for everybody, also for a user nobody knows."""

from dataclasses import dataclass

from ranking.pipeline.lookup import among
from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import FeedQuery, Ids


@dataclass(slots=True)
class Popular:
    """Active contents by decayed engagement, without what the user has seen; row order decides a tie."""

    shelf: Shelf
    name: str = "popular"

    def retrieve(self, query: FeedQuery, limit: int) -> Ids:
        """At most `limit` rows with any engagement at all, best first."""
        # No more than the seen ones can stand in the way.
        leaders = self.shelf.hottest[: limit + len(query.seen)]
        return leaders[~among(leaders, query.seen)][:limit]
