"""What more and more people turn to right now: found within minutes, long before a day's popularity shows it."""

from dataclasses import dataclass

from ranking.pipeline.lookup import among
from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import FeedQuery, Ids


@dataclass(slots=True)
class Trending:
    """Active contents among those that trend, strongest first, without what the user has seen."""

    shelf: Shelf
    rising: Ids
    name: str = "trending"

    def retrieve(self, query: FeedQuery, limit: int) -> Ids:
        """At most `limit` rows; empty while nothing trends."""
        # No more than the seen ones can stand in the way, and those that were withdrawn.
        rows = self.rising[self.shelf.active[self.rising]][: limit + len(query.seen)]
        return rows[~among(rows, query.seen)][:limit]
