"""Thompson sampling in one slot of every ten: exploration that asks who might be good, at a fixed price.

The page is the order that came in, with one position in each block of `block` given away. The posterior is drawn once,
and the best candidates by score plus draw win the slots, among the `depth` most promising ones that the page would not
have shown: the best by score plus `OPTIMISM` standard deviations. All of them have passed every filter. A narrow
posterior hardly moves a candidate, a wide one gives it its chance, and with every outcome it narrows (Thompson, 1933;
Chapelle and Li, 2011). Uniform exploration spends the same slots on hopeless candidates as well.

Slots go to new contents first, which nothing else would ever show. Guarded three ways: the budget of slots; a cap on
the share of new contents, above which slots go to known ones; and a user with little history never meets exploration
on the first position of a walk. The cap is kept over all that is delivered to a user: a page of one item holds whole
contents or none.

The chance of every position is logged. Where the slot lies is independent of who wins it, so positions that follow the
order are exact, and an explored one is P(slot there), exact, times P(this candidate wins), which has no closed form and
is estimated without bias from further draws, at least 1 / (2 * draws). Where draws of different candidates have nothing
in common, each draw of the winner is compared with each draw of its rivals (`Contest.chances`): a quarter of the draws
tells more than counting the wins of `draws` contests.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.stages import FeedQuery, Ids, Positions, Scores
from ranking.rerank.hybrid import standardised
from ranking.rerank.posteriors import Posterior

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]

OPTIMISM = 2.0
"""Who is further behind than this hardly ever wins, and drawing for all candidates would cost milliseconds."""


@dataclass(frozen=True, slots=True)
class ThompsonConfig:
    """Budget 1 in 10, new contents at most 15 % of a page; see the module."""

    block: int = 10
    depth: int = 60
    new_share: float = 0.15
    draws: int = 256
    newcomer_events: int = 10

    def __post_init__(self) -> None:
        for name in ("block", "depth", "draws"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0.0 <= self.new_share <= 1.0:
            raise ValueError(f"new_share must lie in [0, 1], got {self.new_share}")


USUAL_CONFIG = ThompsonConfig()


@dataclass(frozen=True, slots=True)
class Slots:
    """One explored position in each of the first `count` blocks of a page, uniform within the block.

    `first` is the first position that may be explored. The last block may be cut off by the end of the page: a slot
    that falls behind it is not used, so that the budget holds for every length.
    """

    size: int
    block: int
    count: int
    first: int = 0

    def draw(self, rng: np.random.Generator, pages: int) -> Indices:
        """Slot positions: int64 array (pages, count)."""
        starts = np.arange(self.count) * self.block
        return rng.integers(np.maximum(starts, self.first), starts + self.block, size=(pages, self.count))

    def fill(self, slots: Indices, winners: Indices) -> Indices:
        """Pages as indices into the candidates: the slots hold `winners` (pages, count), the rest goes on in order."""
        explored = np.zeros((len(slots), self.count * self.block + self.size), np.bool_)
        np.put_along_axis(explored, slots, values=True, axis=1)
        page = np.cumsum(~explored, axis=1) - 1
        np.put_along_axis(page, slots, winners, axis=1)
        return page[:, : self.size]

    def chance(self, page: Indices, slots: Indices, wins: Floats) -> Floats:
        """P(candidate page[t] on position t) for each t of one page; `wins[b]` is P(the b-th winner wins)."""
        chance = np.ones(self.size)
        for block in range(self.count):
            start, end = block * self.block, (block + 1) * self.block
            allowed = np.arange(max(start, self.first), end)
            here = np.arange(start, min(end, self.size))
            before = np.searchsorted(allowed, here, side="left")
            after = len(allowed) - np.searchsorted(allowed, here, side="right")
            # On an ordinary position the candidate tells whether the slot of this block came before it.
            ordinary = np.where(page[here] == here - block, after, before)
            chance[here] = np.where(here == slots[block], wins[block], ordinary) / len(allowed)
        return chance


@dataclass(slots=True)
class Thompson:
    """The re-ranker. `new` says of each row of the catalogue whether it still counts as new."""

    posteriors: Sequence[Posterior]
    new: NDArray[np.bool_]
    config: ThompsonConfig = USUAL_CONFIG
    name: str = "thompson"

    def order(self, query: FeedQuery, candidates: Ids, scores: Scores) -> Positions:
        """`query.size` positions (fewer if there are fewer candidates), repeatable by `query.seed`."""
        contest = self.contest(query, candidates, scores)
        # Streams of their own: the estimate must not know the draw it judges.
        shown, judged = (np.random.default_rng([query.seed, stream]) for stream in range(2))
        slots, picked = contest.slots.draw(shown, 1), contest.draw(shown, 1)
        page = contest.slots.fill(slots, picked)[0]
        wins = contest.chances(judged, picked[0], self.config.draws)
        chance = contest.slots.chance(page, slots[0], np.maximum(wins, 0.5 / self.config.draws))
        explored = slots[0][slots[0] < len(page)]
        return Positions(page, chance.astype(np.float32), dict.fromkeys(explored.tolist(), "exploration"))

    def contest(self, query: FeedQuery, candidates: Ids, scores: Scores) -> "Contest":
        """Who competes for how many slots of this page; nothing is drawn yet."""
        size = min(query.size, len(candidates))
        first = 1 if query.begins and len(query.history) < self.config.newcomer_events else 0
        # A block of one position has no second one to move to.
        block = max(self.config.block, first + 1)
        blocks = -(-size // block)
        # Whole blocks are sure to push as many candidates off the end of the page.
        stays = candidates[: size - min(size // block, blocks)]
        new_left = max(self._new_allowed(len(query.seen), size) - int(self.new[stays].sum()), 0)
        behind, value = np.arange(size, len(candidates)), standardised(scores)
        is_new = self.new[candidates[behind]]
        heats, left = [], blocks
        for group, most in ((behind[is_new], new_left), (behind[~is_new], blocks)):
            count = min(len(group), most, left)
            left -= count
            if count:
                heats.append(self._heat(group, candidates, value, count))
        return Contest(Slots(size, block, blocks - left, first), len(candidates), tuple(heats), self.posteriors)

    def _new_allowed(self, before: int, size: int) -> int:
        """How many new contents the cap allows among the next `size`, after `before` of them.

        Of whole ones only, a page would round the cap down; counted from the first content on, nothing is lost.
        """
        share = self.config.new_share
        return int(share * (before + size)) - int(share * before)

    def _heat(self, group: Indices, candidates: Ids, value: Floats, count: int) -> "Heat":
        """The `depth` candidates of the group with the highest optimistic value; at least as many as slots."""
        hope = value[group]
        for posterior in self.posteriors:
            hope = hope + OPTIMISM * posterior.spread(candidates[group])
        pool = group[np.argsort(-hope, kind="stable")[: max(self.config.depth, count)]]
        return Heat(pool, candidates[pool], value[pool], count)


@dataclass(frozen=True, slots=True)
class Heat:
    """Competitors for `count` slots: indices into the candidates, rows of the catalogue, standardised scores."""

    pool: Indices
    rows: Ids
    value: Floats
    count: int

    def only(self, place: int) -> "Heat":
        """One competitor alone."""
        one = slice(place, place + 1)
        return Heat(self.pool[one], self.rows[one], self.value[one], 1)

    def winners(self, index: Floats) -> Indices:
        """The `count` best of each row of `index` (pages, competitors), best first, as indices into the candidates."""
        index, pages = index.copy(), np.arange(len(index))
        found = np.empty((len(index), self.count), np.int64)
        for place in range(self.count):
            found[:, place] = best = index.argmax(axis=1)
            index[pages, best] = -np.inf
        return self.pool[found]


@dataclass(frozen=True, slots=True)
class Contest:
    """The slots of one page, and who competes for them among how many candidates."""

    slots: Slots
    candidates: int
    heats: tuple[Heat, ...]
    posteriors: Sequence[Posterior]

    def draw(self, rng: np.random.Generator, pages: int) -> Indices:
        """Winners of `pages` independent draws, as indices into the candidates: int64 array (pages, slots)."""
        found = [heat.winners(self._index(rng, heat, pages)) for heat in self.heats]
        return np.concatenate([np.empty((pages, 0), np.int64), *found], axis=1)

    def chances(self, rng: np.random.Generator, picked: Indices, draws: int) -> Floats:
        """Estimates of the chance that each slot is won by who did: float64 array (slots,).

        A candidate wins the b-th slot of its heat when its draw lies between the b-th best of its rivals and the one
        before. So the estimate is the mean, over `draws / 4` draws of the rivals, of the share of `4 draws` draws of
        the candidate that lie there. That needs draws of different candidates to be independent; otherwise wins of
        `draws` contests are counted.
        """
        if not all(posterior.independent for posterior in self.posteriors):
            return np.asarray(self.win_rates(rng, draws)[np.arange(self.slots.count), picked])
        estimates, first = np.empty(self.slots.count), 0
        for heat in self.heats:
            index = self._index(rng, heat, max(draws // 4, 1))
            for slot in range(heat.count):
                own = int(np.flatnonzero(heat.pool == picked[first + slot])[0])
                bars = _best_rivals(index, own, slot + 1)
                drawn = np.sort(self._index(rng, heat.only(own), 4 * draws)[:, 0])
                above = 1.0 - drawn.searchsorted(bars[:, -2:], side="right") / len(drawn)
                # Above the rival of this place, but not above the one before it, where there is one.
                chance = above[:, -1] - above[:, -2] if slot else above[:, -1]
                estimates[first + slot] = chance.mean()
            first += heat.count
        return estimates

    def _index(self, rng: np.random.Generator, heat: Heat, count: int) -> Floats:
        """Scores plus draws of the competitors of a heat: float64 array (count, competitors)."""
        index = np.tile(heat.value, (count, 1))
        for posterior in self.posteriors:
            index += posterior.draw(rng, heat.rows, count)
        return index

    def win_rates(self, rng: np.random.Generator, draws: int) -> Floats:
        """Share of `draws` in which each candidate wins each slot: float64 array (slots, candidates)."""
        found = self.draw(rng, draws)
        counts = [np.bincount(found[:, slot], minlength=self.candidates) for slot in range(self.slots.count)]
        return np.array(counts, np.float64).reshape(self.slots.count, self.candidates) / draws


def _best_rivals(index: Floats, own: int, count: int) -> Floats:
    """The `count` largest of each row but for column `own`, best first; -inf where there are fewer.

    >>> _best_rivals(np.array([[3.0, 9.0, 5.0]]), 1, 3).tolist()
    [[5.0, 3.0, -inf]]
    """
    rivals = index.copy()
    rivals[:, own] = -np.inf
    if count == 1:
        return np.asarray(rivals.max(axis=1, keepdims=True))
    found = np.full((len(rivals), count), -np.inf)
    best = np.sort(np.partition(rivals, max(rivals.shape[1] - count, 0), axis=1)[:, -count:], axis=1)[:, ::-1]
    found[:, : best.shape[1]] = best
    return found
