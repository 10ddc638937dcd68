"""The caller's own candidates, for ranking what somebody else chose."""

from dataclasses import dataclass

from ranking.pipeline.stages import FeedQuery, Ids


@dataclass(slots=True)
class Given:
    """The rows it was made with, in their order, seen or not: who names them wants to know how they rank."""

    rows: Ids
    name: str = "given"

    def retrieve(self, query: FeedQuery, limit: int) -> Ids:
        """The first `limit` rows given."""
        return self.rows[:limit]
