"""A week of a feed with new contents every day, for one exploration policy at a time.

The world is fitted on one half of the users of a log and the policies' beliefs on the other half, from which a
twentieth of the contents is held back: those are uploaded during the week, evenly over the days, and nobody knows their
rates. All policies rank by the same belief about the seconds a user would watch and learn from every long view; they
differ only in how a page departs from the best ones. Whether a user would watch a content to a long view is decided
once per world: two policies that show somebody the same content see the same outcome, so that their difference is what
they showed and not what they drew.

Simple on purpose: tastes do not drift, nobody leaves because of a bad page, and position does not matter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ranking.evaluation import factors
from ranking.pipeline.shelf import Shelf
from ranking.rerank.posteriors import BetaPosteriors
from recsys.benchmarks.kuairand_log import WatchLog

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

DIMS: Final = 16
NEW_SHARE: Final = 0.05
DAYS: Final = 7
PAGES_A_DAY: Final = 3
PAGE: Final = 10
NEW_UNTIL: Final = 100
TRIED: Final = 5
LEAST_HISTORY: Final = 15


@dataclass(frozen=True, slots=True)
class Offer:
    """What a policy chooses a page for every user from.

    Attributes
    ----------
    value : float64 (users, items), believed seconds of a watch; -inf for what was seen or is not uploaded yet
    belief : rates of all contents as known now
    new : bool (items,), uploaded this week and shown less than `NEW_UNTIL` times
    shelf : the items as stages see them; vectors are what the policies know of tastes
    """

    value: Floats
    belief: BetaPosteriors
    new: NDArray[np.bool_]
    shelf: Shelf


Policy = Callable[[Offer, np.random.Generator], Indices]
"""Pages (users, PAGE) of different items, from an offer."""


@dataclass(frozen=True, slots=True)
class Week:
    """What came of a policy.

    Attributes
    ----------
    watch_s : expected seconds watched per user
    new_share : share of impressions of contents that were new at that moment
    tried_share : share of the week's uploads that were shown at least `TRIED` times
    """

    watch_s: float
    new_share: float
    tried_share: float


class World:
    """One draw of users and new contents from a log; `seed` decides both and all outcomes."""

    def __init__(self, log: WatchLog, *, users: int, seed: int) -> None:
        rng = np.random.default_rng([seed, 0])
        watches = log.watches
        half = rng.random(watches.users) < 0.5
        seen_by_world, seen_by_policy = watches.where(half[watches.user]), watches.where(~half[watches.user])
        self.seed, self.log = seed, log
        self.new = rng.random(watches.items) < NEW_SHARE
        self.upload_day = np.where(self.new, rng.integers(DAYS, size=watches.items), -1)
        often = np.bincount(seen_by_world.user, minlength=watches.users) >= LEAST_HISTORY
        self.users = rng.choice(np.flatnonzero(often), size=min(users, int(often.sum())), replace=False)
        self._seen_by_policy = seen_by_policy.where(~self.new[seen_by_policy.item])
        self.chance = factors.fit(seen_by_world, dims=DIMS, rng=rng).chances(self.users)
        self.personal = self._beliefs(seen_by_world.where(~self.new[seen_by_world.item]), rng)

    def _beliefs(self, histories: factors.Watches, rng: np.random.Generator) -> Floats:
        """What the policies believe of each user and content beyond the content's rate: float64 (users, items)."""
        fitted = factors.fit(self._seen_by_policy, dims=DIMS, rng=rng)
        trait = fitted.trait.copy()
        # A new content has no behaviour: it gets the mean trait of its topic.
        for topic in np.unique(self.log.topic):
            of_topic = self.log.topic == topic
            if (of_topic & ~self.new).any():
                trait[of_topic & self.new] = trait[of_topic & ~self.new].mean(axis=0)
        self.shelf = _shelf_of(trait, self.log.topic)
        known = factors.fold_in(histories, fitted.rate, trait, gain=fitted.gain)
        return np.asarray(known.bias[self.users, None] + known.taste[self.users] @ trait.T)

    @cached_property
    def watches_long(self) -> NDArray[np.bool_]:
        """Whether each user would watch each content to a long view: bool (users, items), the same for all policies."""
        return np.random.default_rng([self.seed, 1]).random(self.chance.shape) < self.chance

    @cached_property
    def seconds_per_rate(self) -> Floats:
        """What a long view is worth more than another one, per content."""
        return self.log.long_s - self.log.short_s

    def belief(self, scale: float) -> BetaPosteriors:
        """Rates as the policies know them before the week; the prior is fitted to the contents of the other half."""
        items = self.log.watches.items
        seen = self._seen_by_policy
        trials = np.bincount(seen.item, minlength=items).astype(np.float64)
        successes = np.bincount(seen.item, weights=seen.long_view, minlength=items).astype(np.float64)
        often = trials >= 30
        rates = successes[often] / trials[often]
        mean = float(rates.mean())
        # Variance of a Beta is m (1 - m) / (strength + 1); the binomial part of the observed variance is taken out.
        spread = float(rates.var() - np.mean(rates * (1.0 - rates) / trials[often]))
        return BetaPosteriors(
            successes, trials, mean, strength=mean * (1.0 - mean) / max(spread, 1e-4) - 1.0, scale=scale
        )

    def live(self, policy: Policy, *, scale: float) -> Week:
        """A week under one policy."""
        belief = self.belief(scale)
        choices = np.random.default_rng([self.seed, 2])
        everyone = np.arange(len(self.users))[:, None]
        seen = np.zeros(self.chance.shape, np.bool_)
        watch_s, new_impressions = 0.0, 0
        for day in range(DAYS):
            waiting = self.upload_day > day
            for _ in range(PAGES_A_DAY):
                rate = belief.mean(np.arange(len(self.new)))
                value = self.log.short_s + (self.personal + rate).clip(0.0, 1.0) * self.seconds_per_rate
                value[seen | waiting] = -np.inf
                new = self.new & (belief.trials < NEW_UNTIL)
                page = policy(Offer(value, belief, new, self.shelf), choices)
                seen[everyone, page] = True
                chance = self.chance[everyone, page]
                long_view = self.watches_long[everyone, page]
                # The expectation, not the draw: it measures the same policy with less noise.
                watch_s += float((self.log.short_s[page] + chance * self.seconds_per_rate[page]).sum())
                new_impressions += int(new[page].sum())
                belief.observe(page.ravel(), long_view.ravel().astype(np.float64))
        impressions = len(self.users) * DAYS * PAGES_A_DAY * PAGE
        tried = float((belief.trials[self.new] >= TRIED).mean())
        return Week(watch_s / len(self.users), new_impressions / impressions, tried)


def _shelf_of(trait: Floats, topic: Indices) -> Shelf:
    """Items with unit vectors and their topics as categories; nothing else is known of them."""
    length = np.linalg.norm(trait, axis=1, keepdims=True)
    items, nothing = len(trait), np.full(len(trait), -1, np.int32)
    names = np.array([str(item) for item in range(items)], object)
    return Shelf(
        version="simulated", content_id=names, row_of={}, creator=nothing, category=topic.astype(np.int32),
        uploaded_s=np.zeros(items), duration_s=np.full(items, np.nan, np.float32), active=np.ones(items, np.bool_),
        embedding=(trait / np.maximum(length, 1e-12)).astype(np.float32), popularity=np.zeros(items, np.float32),
        nearest=None, successors=None, look=nothing, sound=nothing,
    )  # fmt: skip
