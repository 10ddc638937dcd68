"""Sources that list instead of guessing: the newest uploads, of all creators or of a few."""

from dataclasses import dataclass

from ranking.pipeline.lookup import among
from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import FeedQuery, Ids


@dataclass(slots=True)
class Newest:
    """Active contents of a shelf, latest upload first, without what the user has seen.

    On a shelf of some creators or categories only (`Shelf.only`) it lists those; `name` then says which.
    """

    shelf: Shelf
    name: str = "latest"

    def retrieve(self, query: FeedQuery, limit: int) -> Ids:
        """At most `limit` rows."""
        # No more than the seen ones can stand in the way.
        newest = self.shelf.newest[: limit + len(query.seen)]
        return newest[~among(newest, query.seen)][:limit]
