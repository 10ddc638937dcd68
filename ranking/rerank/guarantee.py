"""Every new content is shown to some people, whatever its score: without a start nothing can prove itself.

Exploration draws those that might be good; a content that the model misjudges may lose every draw. So one position in
each block goes to a content that is *due*: new, and met by fewer people than it was promised. Who is due is counted by
the snapshot, so the promise ends by itself, and the price is known beforehand: one position of `block`.
"""

import hashlib
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
    """The re-ranker. `need` says of each row of the catalogue how much it needs to be shown: 0 for those that were not
    promised more people than they have met.

    Blocks are counted through all that was delivered to a user, not from the beginning of each page, so that pages of
    one item give the same share as pages of fifty. Those that the page shows anyhow help themselves; the others share
    the positions as they need them. Which of them a user gets, and where, follows from the user's id and the number of
    the block, and so is certain for that user: propensity 1. Never the first position of a walk, unless that is all
    that was asked for.
    """

    need: NDArray[np.float32]
    rules: GuaranteeRules = GuaranteeRules()
    name: str = "guarantee"

    def order(self, query: FeedQuery, candidates: Ids, scores: Scores) -> Positions:
        """All candidates: due ones moved up to their positions, the rest as they came."""
        order = np.arange(len(candidates))
        need = self.need[candidates].astype(np.float64)
        reasons: dict[int, Reason] = {}
        size, block, before = min(query.shown, len(candidates)), self.rules.block, len(query.seen)
        first = 1 if query.begins and query.shown > 1 else 0
        for number in range(before // block, -(-(before + size) // block)):
            place_lot, who_lot = _lots(f"{query.user_id or ''}/{number}")
            start = number * block - before
            place, stop = start + int(place_lot * block), min(start + block, size)
            place = first if place == 0 else place
            waiting = np.flatnonzero(need[order[stop:]] > 0.0) + stop
            if not 0 <= place < stop or len(waiting) == 0:
                continue
            share = np.cumsum(need[order[waiting]])
            chosen = int(waiting[min(np.searchsorted(share, who_lot * share[-1], side="right"), len(waiting) - 1)])
            order = np.insert(np.delete(order, chosen), place, order[chosen])
            reasons[place] = "guaranteed_exposure"
        return Positions(order, np.ones(len(order), np.float32), reasons)


def _lots(name: str) -> tuple[float, float]:
    """Two numbers in [0, 1) that follow from a name, and have nothing else in common with it or each other."""
    drawn = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(drawn[:4]) / 2**32, int.from_bytes(drawn[4:]) / 2**32
