"""Creators get the exposure their merit earns, over many pages, at a bounded loss of value on each.

Amortised equity of attention (Biega, Gummadi and Weikum, 2018): on one page position bias alone makes equal merit
unequal, so exposure and merit are added up over pages and the debt is paid when the chance comes. Groups are given as
labels: new and established creators, or any other.

    merit of a group on a page    = its share of the candidates' worth * the page's exposure
    exposure of a position t      = 1 / log2(t + 2), t from 0
    owed to a group               = merit - exposure, over all pages so far

Each position goes to the best candidate, or to the best one of the group owed most, as long as the page that results
loses at most `largest_loss` of its worth, plain and weighted by exposure, against the order that came in. The bound
holds on every page, whatever is owed: where it does not allow payment, the debt stays.

Worth is the score above the worst candidate's: scores have no natural zero, and a share of a sum needs one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.moves import Reason
from ranking.pipeline.stages import FeedQuery, Ids, Positions, Scores

Floats = NDArray[np.float64]
ROUNDING = 1e-12


def exposure(size: int) -> Floats:
    """How much each position is seen, relative to the first: float64 array (size,).

    >>> exposure(3).round(3).tolist()
    [1.0, 0.631, 0.5]
    """
    return np.asarray(1.0 / np.log2(np.arange(size) + 2.0))


def worth(scores: Scores) -> Floats:
    """Scores above the worst one, >= 0."""
    wide = np.asarray(scores, np.float64)
    return wide - wide.min() if len(wide) else wide


def merit(groups: NDArray[np.int64], values: Floats, size: int, *, count: int) -> Floats:
    """What each of `count` groups has earned of a page of `size`: float64 array (count,), adding up to its exposure.

    Candidates with a negative label belong to no group and take their part with them. If nothing is worth anything,
    every candidate is worth the same.
    """
    if len(values) == 0:
        return np.zeros(count)
    share = values / values.sum() if values.sum() > 0.0 else np.full(len(values), 1.0 / len(values))
    grouped = groups >= 0
    earned = np.bincount(groups[grouped], weights=share[grouped], minlength=count)
    return np.asarray(earned * exposure(min(size, len(values))).sum())


def paid(groups: NDArray[np.int64], *, count: int) -> Floats:
    """The exposure each of `count` groups got on a page that shows these groups, first position first."""
    grouped = groups >= 0
    return np.asarray(np.bincount(groups[grouped], exposure(len(groups))[grouped], count), np.float64)


@dataclass(slots=True)
class CreatorFairness:
    """The re-ranker. `group` labels rows of the catalogue 0..g-1, negative for none; `owed` is float64 (g,).

    `owed` is what earlier pages left (see the module), zeros to begin with.
    """

    group: NDArray[np.int64]
    owed: Floats
    largest_loss: float = 0.01
    name: str = "creator_fairness"

    def __post_init__(self) -> None:
        if not 0.0 <= self.largest_loss < 1.0:
            raise ValueError(f"largest_loss must lie in [0, 1), got {self.largest_loss}")

    def order(self, query: FeedQuery, candidates: Ids, scores: Scores) -> Positions:
        """All candidates: `query.size` positions with debts paid, the rest as they came; certain, so propensity 1."""
        groups, values = self.group[candidates], worth(scores)
        size, count = min(query.size, len(candidates)), len(self.owed)
        seen = exposure(size)
        owed = self.owed + merit(groups, values, size, count=count)
        budget = _Budget(values, seen, self.largest_loss)
        # Lists: a page takes dozens of looks at single entries, for which arrays are slow.
        page: list[int] = []
        rest, waiting = list(range(len(candidates))), groups.tolist()
        reasons: dict[int, Reason] = {}
        for place in range(size):
            start = _creditor(waiting, owed)
            if start and budget.allows([*page, rest[start], *rest[:start], *rest[start + 1 : start + 1 + size]]):
                reasons[place] = "creator_exposure"
            else:
                start = 0
            page.append(rest.pop(start))
            group = waiting.pop(start)
            if group >= 0:
                owed[group] -= seen[place]
        order = np.array(page + rest, np.int64)
        return Positions(order, np.ones(len(order), np.float32), reasons)


def _creditor(waiting: list[int], owed: Floats) -> int:
    """Where the first candidate of the group owed most waits; 0 if no group that waits is owed anything."""
    for group in np.argsort(-owed, kind="stable").tolist():
        if owed[group] <= 0.0:
            return 0
        if group in waiting:
            return waiting.index(group)
    return 0


@dataclass(frozen=True, slots=True)
class _Budget:
    """Whether a page keeps its worth, against the candidates in the order they came."""

    values: Floats
    seen: Floats
    largest_loss: float

    def allows(self, order: list[int]) -> bool:
        """True if neither the plain nor the exposure-weighted sum of the page lost more than its share."""
        size = len(self.seen)
        before, after = self.values[:size], self.values[order[:size]]
        kept = 1.0 - self.largest_loss - ROUNDING
        return bool(after.sum() >= kept * before.sum() and after @ self.seen >= kept * (before @ self.seen))
