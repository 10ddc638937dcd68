"""A page worth swiping: every source gets a chance, and no creator, sound or topic fills the screen.

It re-orders and never drops: where no alternative is left, the rules yield, the topic first and the creator last.

The caps hold over a window of positions, and a page is not the end of it: what the walk showed just before counts.
"""

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.moves import Reason
from ranking.pipeline.proposals import Proposals
from ranking.pipeline.shelf import UNKNOWN, Shelf
from ranking.pipeline.stages import FeedQuery, Ids, Positions, Scores
from ranking.rerank.caps import WindowCap, first_allowed, first_relaxed


@dataclass(frozen=True, slots=True)
class MixRules:
    """At most so many per window of positions in a row; at least one of every source per block.

    No window is longer than the cursor remembers: `cursors.RECENT` positions and the next one.

    `per_category` pairs the evidence from which it holds (see `SessionTaste`) with the cap: two of five for a stranger,
    three from the first judged clip on, four when seven or more were judged. Breadth is what finds a taste out, and a
    page of one topic only would never find the next one.
    """

    per_creator: int = 2
    creator_window: int = 10
    per_sound: int = 1
    sound_window: int = 6
    per_category: tuple[tuple[float, int], ...] = ((0.0, 2), (0.3, 3), (0.75, 4))
    category_window: int = 5
    block: int = 10

    def category_cap(self, evidence: float) -> int:
        """The cap of the highest step that `evidence` reaches.

        >>> [MixRules().category_cap(judged / (judged + 2)) for judged in (0, 1, 5, 10)]
        [2, 3, 3, 4]
        """
        return [cap for start, cap in self.per_category if evidence >= start][-1]


@dataclass(slots=True)
class Mix:
    """Greedy: each position takes the best candidate that no rule forbids, or the rules give way (`caps.relaxed`).

    The order in which candidates arrive is the preference. A source counts as present through the candidates it is the
    primary source of. Within each block of `rules.block` positions a source that still has candidates gets at least
    one; the last positions of the block are kept for sources that had none by then, and they give their best candidate
    that the caps allow. Contents without a known creator, sound or category are never capped.

    `recent` has the rows of the last positions before the page, oldest first, negative where a row is not known; with
    `creator_anew` the cap on creators does not count them.
    """

    shelf: Shelf
    evidence: float
    rules: MixRules = MixRules()
    recent: Ids = field(default_factory=lambda: np.empty(0, np.int64))
    creator_anew: bool = False
    proposals: Proposals | None = None
    name: str = "mix"

    def knowing(self, proposals: Proposals) -> "Mix":
        """The same rules for these candidates, whose sources are known now."""
        return replace(self, proposals=proposals)

    def order(self, query: FeedQuery, candidates: Ids, scores: Scores) -> Positions:
        """All candidates: `query.size` positions by the rules, the rest as they came; certain, so propensity 1."""
        size = min(query.size, len(candidates))
        caps = self._caps(candidates)
        source = [0] * len(candidates) if self.proposals is None else self.proposals.primary.tolist()
        left_of_source = Counter(source)
        free = list(range(len(candidates)))
        picks: list[int] = []
        reasons: dict[int, Reason] = {}
        shown: set[int] = set()
        for place in range(size):
            if place % self.rules.block == 0:
                shown.clear()
            missing = {each for each, left in left_of_source.items() if left and each not in shown}
            places_left = self.rules.block - place % self.rules.block
            pick = _choose(free, caps, source, missing, must=min(places_left, size - place) <= len(missing))
            if pick != free[0]:
                against = (cap.reason for cap in caps if cap.blocks(free[0]))
                reasons[place] = next(against, "source_share")
            free.remove(pick)
            left_of_source[source[pick]] -= 1
            shown.add(source[pick])
            picks.append(pick)
            for cap in caps:
                cap.take(pick)
        order = np.array(picks + free, np.int64)
        return Positions(order, np.ones(len(order), np.float32), reasons)

    def _caps(self, candidates: Ids) -> list[WindowCap]:
        """The caps, strongest first; the topic comes last."""
        rules, shelf = self.rules, self.shelf
        caps = [WindowCap(shelf.creator[candidates], rules.per_creator, rules.creator_window, "creator_cap")]
        before = [self._recent_codes(shelf.creator) if not self.creator_anew else []]
        sounds = shelf.sound[candidates]
        if sounds.max(initial=UNKNOWN) >= 0:
            caps.append(WindowCap(sounds, rules.per_sound, rules.sound_window, "sound_cap"))
            before.append(self._recent_codes(shelf.sound))
        most = rules.category_cap(self.evidence)
        caps.append(WindowCap(shelf.category[candidates], most, rules.category_window, "category_cap"))
        before.append(self._recent_codes(shelf.category))
        for cap, codes in zip(caps, before, strict=True):
            for code in codes:
                cap.pass_by(code)
        return caps

    def _recent_codes(self, column: NDArray[np.int32]) -> list[int]:
        """The codes of the positions before the page; an unknown row would read the last one."""
        codes: list[int] = np.where(self.recent >= 0, column[self.recent], UNKNOWN).tolist()
        return codes


def _choose(
    free: list[int],
    caps: list[WindowCap],
    source: list[int],
    missing: set[int],
    *,
    must: bool,
) -> int:
    """Index of the candidate for the next position.

    Where the topic cap turns the best candidate away, the place goes to a missing source: one detour serves both rules.
    """
    if not missing or not (must or caps[-1].blocks(free[0])):
        return first_relaxed(free, caps)
    owed = [each for each in free if source[each] in missing]
    if must:
        return first_relaxed(owed, caps)
    found = first_allowed(owed, caps)
    return first_relaxed(free, caps) if found is None else found
