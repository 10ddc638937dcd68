"""Which candidates are worth the model's time: the best by the light score, and the first ones of every source.

The sources propose several hundred candidates, of which a page shows ten, and the model is by far the dearest stage.
The light score orders them for a tenth of the price and agrees with the final score about who has no chance: it is a
part of that score. On the world of `bench feed`, of the ten that all 430 candidates would have given, 80 keep 99.5 %
and 0.9999 of their NDCG by the final score; 120 would keep 99.8 %, 70 98.5 %. Asking the sources for fewer instead is
dearer: 300 in all, whatever goes on of them, keep 94 %.

Each source keeps its own first candidates whatever the light score says, because later stages need them: a share of the
page for each source, the guarantee of new contents, and exploration.
"""

from dataclasses import dataclass

import numpy as np

from ranking.pipeline.proposals import Proposals
from ranking.pipeline.stages import Ids, Mask, Scores


@dataclass(frozen=True, slots=True)
class CutRules:
    """The model judges at most `most` candidates, among them the first `of_each` of every source."""

    most: int = 80
    of_each: int = 10

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError(f"most must be at least 1, got {self.most}")
        if self.of_each < 0:
            raise ValueError(f"of_each must not be negative, got {self.of_each}")


def kept(proposals: Proposals, scores: Scores, rules: CutRules) -> Ids:
    """Indices of the candidates to go on with, in the order they came; of equal scores the earlier one stays.

    Where the sources' first ones alone are more than `most`, all of them stay and nothing else.

    >>> from ranking.pipeline.proposals import merge
    >>> union = merge([("popular", 3, np.array([7, 3, 8])), ("fresh", 2, np.array([5, 6]))])
    >>> kept(union, np.array([0.1, 0.9, 0.8, 0.0, 0.7], np.float32), CutRules(most=3, of_each=1)).tolist()
    [0, 1, 3]
    """
    first = (proposals.rank >= 0) & (proposals.rank < rules.of_each)
    stays: Mask = np.asarray(first.any(axis=0))
    others = np.flatnonzero(~stays)
    left = max(rules.most - (len(stays) - len(others)), 0)
    stays[others[np.argsort(-scores[others], kind="stable")[:left]]] = True
    return np.flatnonzero(stays)
