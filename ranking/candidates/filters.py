"""What must not be shown, whoever proposed it. Order them cheapest first.

Moderation is checked once more against the database on the final page: a snapshot cannot forget at once.
"""

from dataclasses import dataclass

import numpy as np

from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import FeedQuery, Ids, Mask


@dataclass(slots=True)
class Active:
    """Only contents that the catalogue released when the snapshot was made."""

    shelf: Shelf
    name: str = "active"

    def keep(self, query: FeedQuery, candidates: Ids) -> Mask:
        """True where the content is active."""
        return self.shelf.active[candidates].astype(np.bool_)


@dataclass(slots=True)
class NotRefused:
    """Never again what the user hid or reported."""

    refused: Ids
    name: str = "not_refused"

    def keep(self, query: FeedQuery, candidates: Ids) -> Mask:
        """True where the user did not refuse the content."""
        return np.asarray(~np.isin(candidates, self.refused), np.bool_)


@dataclass(slots=True)
class Unseen:
    """Nothing the user has seen, nor what waits on a page already delivered."""

    name: str = "unseen"

    def keep(self, query: FeedQuery, candidates: Ids) -> Mask:
        """True where the content is new to the user."""
        return np.asarray(~np.isin(candidates, query.seen), np.bool_)
