"""Every new content is shown to some people, whatever its score: without a start nothing can prove itself.

Exploration draws those that might be good; a content that the model misjudges may lose every draw. So one position in
each block goes to a content that is *due*: new, and met by fewer people than it was promised. Who is due is counted by
the snapshot, so the promise ends by itself, and the price is known beforehand: one position of `block`.
"""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.moves import Reason
from ranking.pipeline.stages import FeedQuery, Ids, Positions, Scores


@dataclass(frozen=True, slots=True)
class GuaranteeRules:
    """`people` are promised to each new content, on one position of each `block`."""

    people: int = 50
    block: int = 20

    def __post_init__(self) -> None:
        for name in ("people", "block"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(slots=True)
class Guarantee:
    """The re-ranker. `place` says of each row of the catalogue where it stands among those that were promised more
    people than they have met, fewest first; negative for all others.

    Those that the page shows anyhow help themselves; of the others the half that met the fewest shares the positions.
    Which of them a user gets, and where, follows from the user's id and from how much they have seen, and so is certain
    for that user: propensity 1. Never the first position.
    """

    place: NDArray[np.int32]
    rules: GuaranteeRules = GuaranteeRules()
    name: str = "guarantee"

    def order(self, query: FeedQuery, candidates: Ids, scores: Scores) -> Positions:
        """All candidates: due ones moved up to their positions, the rest as they came."""
        order = np.arange(len(candidates))
        rank = self.place[candidates]
        reasons: dict[int, Reason] = {}
        lot = zlib.crc32((query.user_id or "").encode()) + len(query.seen)
        for start in range(0, min(query.size, len(candidates)), self.rules.block):
            place, stop = start + max(lot % self.rules.block, 1), min(start + self.rules.block, query.size)
            waiting = np.flatnonzero(rank[order[stop:]] >= 0) + stop
            if place >= stop or len(waiting) == 0:
                continue
            waiting = waiting[np.argsort(rank[order[waiting]], kind="stable")]
            chosen = int(waiting[lot // self.rules.block % -(-len(waiting) // 2)])
            order = np.insert(np.delete(order, chosen), place, order[chosen])
            reasons[place] = "guaranteed_exposure"
        return Positions(order, np.ones(len(order), np.float32), reasons)
