"""How well scores find what people enjoyed next: NDCG@10 and Recall@100 over those of popularity.

The mean of the two ratios is what weights and settings are chosen by: a setting that is best for the head of the list
and another that is best for the first hundred would else need two rows each.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking.retrieval.channels import Floats, Ids, Table


@dataclass(frozen=True, slots=True)
class Figures:
    """Per person, float64 arrays (people,)."""

    ndcg: Floats
    recall: Floats

    @property
    def mean(self) -> Floats:
        """Both means, (2,)."""
        return np.array([self.ndcg.mean(), self.recall.mean()])


class Measure:
    """NDCG@10 and Recall@100 of some people in units of what popularity finds for them; a callable over (people, n).

    Ranks of the targets are counted instead of sorting the catalogue, because a search asks hundreds of times. A
    target tied with others counts as the last of them, so that a model that scores all alike finds nothing.

    Parameters
    ----------
    met, target : rows per person, what must not be found again and what should be; a target was not met
    popularity : (n,)
    """

    def __init__(self, met: list[Ids], target: list[Ids], popularity: NDArray[np.floating]) -> None:
        self.people = len(target)
        self.place = np.repeat(np.arange(len(target)), [len(each) for each in target])
        self.target = np.concatenate(target)
        self.wanted = np.bincount(self.place, minlength=len(target))
        self.met_place = np.repeat(np.arange(len(met)), [len(each) for each in met])
        self.met = np.concatenate(met)
        everybody = np.broadcast_to(popularity.astype(np.float32), (len(target), len(popularity)))
        self.base = np.maximum(self.figures(everybody), 1e-4)

    def __call__(self, scores: Table) -> float:
        """How many times as much as popularity, the mean of both figures."""
        return float((self.figures(scores) / self.base).mean())

    def figures(self, scores: Table) -> Floats:
        """NDCG@10 and Recall@100, (2,)."""
        return self.by_person(scores).mean

    def by_person(self, scores: Table) -> Figures:
        """Both for each of the people, whose targets are all that counts."""
        level = scores[self.place, self.target]
        rank = np.empty(len(level), np.int64)
        met_score = scores[self.met_place, self.met]
        first = np.searchsorted(self.met_place, np.arange(self.people + 1))
        for at, (person, bound) in enumerate(zip(self.place.tolist(), level.tolist(), strict=True)):
            above = np.count_nonzero(scores[person] >= bound)
            rank[at] = above - 1 - np.count_nonzero(met_score[first[person] : first[person + 1]] >= bound)
        gain = np.where(rank < 10, 1.0 / np.log2(np.maximum(rank, 0) + 2.0), 0.0)
        best = np.cumsum(1.0 / np.log2(np.arange(10) + 2.0))[np.minimum(self.wanted, 10) - 1]
        return Figures(
            np.bincount(self.place, gain, self.people) / best,
            np.bincount(self.place, rank < 100, self.people) / self.wanted,
        )
