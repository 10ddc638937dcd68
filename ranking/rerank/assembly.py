"""One greedy page from several wishes: value, diversity, calibration, each a term in the unit of the value.

Terms in one greedy loop, rather than one re-ranker after another: a second pass that re-sorts by value would undo the
first, and one that does not look at value would not know what its wish costs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.moves import Reason
from ranking.pipeline.stages import FeedQuery, Ids, Positions, Scores
from ranking.rerank.hybrid import standardised


class Term(Protocol):
    """One wish, on one page in the making."""

    @property
    def reason(self) -> Reason:
        """What a move made for this wish is called."""

    def gains(self) -> NDArray[np.float64]:
        """What each candidate adds at the next position, in standard deviations of the score; float64 (n,), finite."""

    def take(self, pick: int) -> None:
        """The next position went to this candidate."""


class Wish(Protocol):
    """Makes the term for the candidates of one request."""

    def begin(self, candidates: Ids) -> Term:
        """A term that has seen no pick yet."""


@dataclass(slots=True)
class Assemble:
    """Each position takes the candidate with the largest standardised score plus gains; ties go to the earlier one.

    Only the `depth` best by score compete (as many as the page, if that is more): who stands further behind would make
    the page broad at too high a price. Where the pick is not the best remaining by score, the reason is the term that
    lifted it most over that one. Certain, so propensity 1; behind `query.size` positions the rest follow as they came.
    """

    wishes: Sequence[Wish]
    depth: int = 150
    name: str = "assemble"

    def order(self, query: FeedQuery, candidates: Ids, scores: Scores) -> Positions:
        """All candidates, `query.size` of them assembled."""
        best_first = np.argsort(-scores, kind="stable")[: max(self.depth, query.size)]
        terms = [wish.begin(candidates[best_first]) for wish in self.wishes]
        value = standardised(scores)[best_first]
        picks: list[int] = []
        reasons: dict[int, Reason] = {}
        left, best = value.copy(), 0
        for place in range(min(query.size, len(value))):
            gains = [term.gains() for term in terms]
            pick = int(sum(gains, left).argmax())
            if value[pick] < value[best]:
                lift = [gain[pick] - gain[best] for gain in gains]
                reasons[place] = terms[lift.index(max(lift))].reason
            left[pick] = -np.inf
            while best < len(left) - 1 and left[best] == -np.inf:
                best += 1
            picks.append(pick)
            for term in terms:
                term.take(pick)
        chosen = best_first[np.array(picks, np.int64)]
        behind = np.ones(len(candidates), np.bool_)
        behind[chosen] = False
        order = np.concatenate([chosen, np.flatnonzero(behind)])
        return Positions(order, np.ones(len(order), np.float32), reasons)
