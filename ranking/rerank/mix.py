"""A page worth swiping: every source gets a chance, and no creator or topic fills the screen.

It re-orders and never drops: where no alternative is left, the rule yields.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.proposals import Proposals
from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import FeedQuery, Ids, Positions, Scores


@dataclass(frozen=True, slots=True)
class MixRules:
    """At most so many per window of positions in a row; at least one of every source per block.

    `per_category` pairs the evidence from which it holds (see `SessionTaste`) with the cap: two of five for a stranger,
    three from the first judged clip on, four when seven or more were judged. Breadth is what finds a taste out, and a
    page of one topic only would never find the next one.
    """

    window: int = 5
    per_creator: int = 2
    per_category: tuple[tuple[float, int], ...] = ((0.0, 2), (0.3, 3), (0.75, 4))
    block: int = 10

    def category_cap(self, evidence: float) -> int:
        """The cap of the highest step that `evidence` reaches.

        >>> [MixRules().category_cap(judged / (judged + 2)) for judged in (0, 1, 5, 10)]
        [2, 3, 3, 4]
        """
        return [cap for start, cap in self.per_category if evidence >= start][-1]


@dataclass(frozen=True, slots=True)
class Mix:
    """Greedy: each position takes the best candidate that no rule forbids, or the best one if all are forbidden.

    A source counts as present through the candidates it is the primary source of. Within each block of `rules.block`
    positions a source that still has candidates gets at least one; the last positions of the block are kept for
    sources that had none by then, and they give their best candidate that the caps allow. Contents without a known
    creator or category are never capped.
    """

    shelf: Shelf
    evidence: float
    rules: MixRules = MixRules()
    proposals: Proposals | None = None
    name: str = "mix"

    def knowing(self, proposals: Proposals) -> "Mix":
        """The same rules for these candidates, whose sources are known now."""
        return replace(self, proposals=proposals)

    def order(self, query: FeedQuery, candidates: Ids, scores: Scores) -> Positions:
        """All candidates: `query.size` positions by the rules, the rest as they came; certain, so propensity 1."""
        size = min(query.size, len(candidates))
        caps = (
            (self.shelf.creator[candidates], self.rules.per_creator),
            (self.shelf.category[candidates], self.rules.category_cap(self.evidence)),
        )
        source = self.proposals.primary if self.proposals is not None else np.zeros(len(candidates), np.int64)
        free = np.ones(len(candidates), np.bool_)
        picks: list[int] = []
        while len(picks) < size:
            allowed = free & self._within_caps(picks, caps)
            owed = self._owed(picks, source, free, size)
            if owed is not None:
                allowed = allowed & owed if (allowed & owed).any() else free & owed
            pick = int((allowed if allowed.any() else free).argmax())
            free[pick] = False
            picks.append(pick)
        order = np.concatenate([np.array(picks, np.int64), np.flatnonzero(free)])
        return Positions(order, np.ones(len(order), np.float32))

    def _within_caps(self, picks: list[int], caps: tuple[tuple[NDArray[np.int32], int], ...]) -> NDArray[np.bool_]:
        """True for candidates that fit behind the last `window - 1` picks."""
        recent = picks[-(self.rules.window - 1) :]
        fits = np.ones(len(caps[0][0]), np.bool_)
        for codes, cap in caps:
            shown = codes[recent]
            values, counts = np.unique(shown[shown >= 0], return_counts=True)
            full = values[counts >= cap]
            if len(full):
                fits &= ~np.isin(codes, full)
        return fits

    def _owed(
        self, picks: list[int], source: NDArray[np.int64], free: NDArray[np.bool_], size: int
    ) -> NDArray[np.bool_] | None:
        """Candidates of the sources still missing in this block, once only as many positions are left; else None."""
        start = len(picks) - len(picks) % self.rules.block
        missing = np.setdiff1d(source[free], source[picks[start:]])
        left = min(start + self.rules.block, size) - len(picks)
        if len(missing) == 0 or left > len(missing):
            return None
        return np.isin(source, missing)
