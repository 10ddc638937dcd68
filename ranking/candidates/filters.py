"""What must not be shown, whoever proposed it. Order them cheapest first.

Moderation is checked once more against the database on the final page: a snapshot cannot forget at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.lookup import among
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
        return np.asarray(~among(candidates, self.refused), np.bool_)


def codes_of(vocabulary: NDArray[np.object_], names: Iterable[str]) -> Ids:
    """Codes of names in a vocabulary in any order, as new names stand at its end; those it lacks are left out.

    >>> codes_of(np.array(["c", "a"], object), ["c", "b"]).tolist()
    [0]
    """
    asked = set(names)
    return np.array([code for code, name in enumerate(vocabulary.tolist()) if name in asked], np.int64)


@dataclass(slots=True)
class UnlikeSeen:
    """No copy of what the user has seen: a clip that somebody uploaded again is no new one."""

    shelf: Shelf
    name: str = "unlike_seen"

    def keep(self, query: FeedQuery, candidates: Ids) -> Mask:
        """True where nothing the user has seen looks the same."""
        look = self.shelf.look[query.seen]
        return np.asarray(~among(self.shelf.look[candidates], look[look >= 0]), np.bool_)


@dataclass(slots=True)
class Unseen:
    """Nothing the user has seen, nor what waits on a page already delivered."""

    name: str = "unseen"

    def keep(self, query: FeedQuery, candidates: Ids) -> Mask:
        """True where the content is new to the user."""
        return np.asarray(~among(candidates, query.seen), np.bool_)
