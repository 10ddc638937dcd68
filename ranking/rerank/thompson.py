"""Thompson sampling in one slot of every ten: exploration that asks who might be good, at a fixed price.

The page is the order that came in, with one position in each block of `block` given away. Who gets it: the posterior
is drawn once, and the best candidate by score plus draw wins among the `depth` best that the page would not have shown;
all of them have passed every filter. A narrow posterior hardly moves a candidate, a wide one gives it its chance, and
with every outcome it narrows (Thompson, 1933; Chapelle and Li, 2011). Uniform exploration spends the same slots on
hopeless candidates as well.

Guarded three ways: the budget of slots; a cap on the share of new contents of the page, above which explored slots go
to known ones; and a user with little history never meets exploration on the first position.

The chance of every position is logged. Where the slot lies is independent of who wins it, so positions that follow the
order are exact, and an explored one is P(slot there), exact, times P(this candidate wins), which has no closed form: it
is the share of `draws` further draws that it wins, at least 1 / (2 * draws).
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


def winners(index: Floats, new: NDArray[np.bool_], *, count: int, new_left: int) -> Indices:
    """The `count` best of each row of `index` (pages, n), best first, with at most `new_left` new ones among them.

    There must be that many: `count <= (not new) + min(new, new_left)`.

    >>> winners(np.array([[3.0, 2.0, 1.0]]), np.array([True, True, False]), count=2, new_left=1).tolist()
    [[0, 2]]
    """
    index = index.copy()
    pages = np.arange(len(index))
    found = np.empty((len(index), count), np.int64)
    new_shown = np.zeros(len(index), np.int64)
    for place in range(count):
        index[np.ix_(new_shown >= new_left, new)] = -np.inf
        found[:, place] = best = index.argmax(axis=1)
        index[pages, best] = -np.inf
        new_shown += new[best]
    return found


@dataclass(frozen=True, slots=True)
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
        wins = contest.win_rates(judged, self.config.draws)[np.arange(contest.slots.count), picked[0] - len(page)]
        chance = contest.slots.chance(page, slots[0], np.maximum(wins, 0.5 / self.config.draws))
        explored = slots[0][slots[0] < len(page)]
        return Positions(page, chance.astype(np.float32), dict.fromkeys(explored.tolist(), "exploration"))

    def contest(self, query: FeedQuery, candidates: Ids, scores: Scores) -> "Contest":
        """Who competes for how many slots of this page; nothing is drawn yet."""
        size = min(query.size, len(candidates))
        pool = candidates[size : size + self.config.depth]
        new = self.new[pool]
        new_left = max(int(self.config.new_share * size) - int(self.new[candidates[:size]].sum()), 0)
        able = int((~new).sum()) + min(int(new.sum()), new_left)
        blocks = -(-size // self.config.block)
        first = 1 if len(query.history) < self.config.newcomer_events else 0
        # A block of one position has no second one to move to.
        count = 0 if self.config.block == first else min(blocks, able)
        value = standardised(scores)[size : size + self.config.depth]
        return Contest(Slots(size, self.config.block, count, first), pool, value, new, new_left, self.posteriors)


@dataclass(frozen=True, slots=True)
class Contest:
    """The candidates behind the page and what is believed of them."""

    slots: Slots
    pool: Ids
    value: Floats
    new: NDArray[np.bool_]
    new_left: int
    posteriors: Sequence[Posterior]

    def draw(self, rng: np.random.Generator, pages: int) -> Indices:
        """Winners of `pages` independent draws, as indices into the candidates: int64 array (pages, slots)."""
        if self.slots.count == 0:
            return np.empty((pages, 0), np.int64)
        index = np.tile(self.value, (pages, 1))
        for posterior in self.posteriors:
            index += posterior.draw(rng, self.pool, pages)
        return self.slots.size + winners(index, self.new, count=self.slots.count, new_left=self.new_left)

    def win_rates(self, rng: np.random.Generator, draws: int) -> Floats:
        """Share of `draws` in which each candidate of the pool wins each slot: float64 array (slots, pool)."""
        found = self.draw(rng, draws) - self.slots.size
        counts = [np.bincount(found[:, slot], minlength=len(self.pool)) for slot in range(self.slots.count)]
        return np.array(counts, np.float64).reshape(self.slots.count, len(self.pool)) / draws
