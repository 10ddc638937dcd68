"""A page worth swiping: every source gets a chance, and no creator or topic fills the screen.

It re-orders and never drops: where no alternative is left, the rule yields.
"""

from collections import deque
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


@dataclass(slots=True)
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
            _Cap(self.shelf.creator[candidates], self.rules.per_creator, self.rules.window),
            _Cap(self.shelf.category[candidates], self.rules.category_cap(self.evidence), self.rules.window),
        )
        source = self.proposals.primary if self.proposals is not None else np.zeros(len(candidates), np.int64)
        left_of_source = np.bincount(source)
        free = np.ones(len(candidates), np.bool_)
        picks: list[int] = []
        shown: set[int] = set()
        for place in range(size):
            if place % self.rules.block == 0:
                shown.clear()
            missing = [each for each in np.flatnonzero(left_of_source).tolist() if each not in shown]
            places_left = self.rules.block - place % self.rules.block
            pick = _choose(free, caps, source, missing, must=min(places_left, size - place) <= len(missing))
            free[pick] = False
            left_of_source[source[pick]] -= 1
            shown.add(int(source[pick]))
            picks.append(pick)
            for cap in caps:
                cap.show(pick)
        order = np.concatenate([np.array(picks, np.int64), np.flatnonzero(free)])
        return Positions(order, np.ones(len(order), np.float32))


def _choose(
    free: NDArray[np.bool_], caps: tuple["_Cap", "_Cap"], source: NDArray[np.int64], missing: list[int], *, must: bool
) -> int:
    """Index of the candidate for the next position.

    Where the topic cap turns the best candidate away, the place goes to a missing source: one detour serves both rules.
    """
    creator, topic = caps
    off_topic = topic.blocked()
    allowed = free & ~off_topic & ~creator.blocked()
    best = int(free.argmax())
    if not missing or not (must or off_topic[best]):
        return int(allowed.argmax()) if allowed.any() else best
    owed = free & np.isin(source, missing)
    for choice in (allowed & owed, owed) if must else (allowed & owed, allowed):
        if choice.any():
            return int(choice.argmax())
    return best


class _Cap:
    """How often each creator (or category) stands in the last `window - 1` positions; negative codes never count."""

    def __init__(self, codes: NDArray[np.int32], cap: int, window: int) -> None:
        self._codes, self._cap = codes, cap
        self._recent: deque[int] = deque(maxlen=window - 1)
        # One entry more than codes: `UNKNOWN` (-1) indexes the last, which is never raised.
        self._full = np.zeros(int(codes.max(initial=-1)) + 2, np.bool_)

    def show(self, pick: int) -> None:
        """Move the window on by one position."""
        touched = {int(self._codes[pick]), *(self._recent if len(self._recent) == self._recent.maxlen else ())}
        self._recent.append(int(self._codes[pick]))
        for code in touched - {-1}:
            self._full[code] = self._recent.count(code) >= self._cap

    def blocked(self) -> NDArray[np.bool_]:
        """True for candidates that would be one too many."""
        return self._full[self._codes]
