"""The stages that try something out, by the names that the feed's configuration gives them.

    thompson         one slot of ten, by what is known of each content alone: `rerank.thompson`
    linear           the same slots, by what is known of contents and of what lies near them: `LinearPosterior`
    epsilon_greedy   each position of the source design, over the safe pool: `rerank.exploration`
    diverse          whole pages from a k-DPP, for traffic that must learn about many contents: `rerank.kdpp`

`recsys.benchmarks.exploration` measures what each costs. Each logs the chance of every position.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from ranking.feed_config import FeedConfig
from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import ReRanker
from ranking.rerank.exploration import EpsilonGreedy
from ranking.rerank.kdpp import DiverseExploration
from ranking.rerank.posteriors import BayesianLinear, BetaPosteriors, LinearPosterior, Posterior
from ranking.rerank.thompson import Thompson, ThompsonConfig

if TYPE_CHECKING:
    from ranking.shelves import Stock

_linear: list[tuple["Stock", LinearPosterior]] = []
"""That of the newest stock this process was asked about."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one request may spend: the share of positions it asks for (None: the usual), and what is guaranteed."""

    share: float | None
    guaranteed: bool

    def slots(self, config: FeedConfig) -> ThompsonConfig:
        """Blocks for Thompson sampling; what is guaranteed is part of the budget.

        One position in 20 for it leaves one in 20 of one in 10.
        """
        usual = config.exploration
        if self.share is not None:
            usual = replace(usual, block=max(round(1.0 / self.share), 1))
        left = 1.0 / usual.block - (1.0 / config.guarantee.block if self.guaranteed else 0.0)
        return replace(usual, block=round(1.0 / left)) if left > 0.0 else usual


def thompson(stock: "Stock", shelf: Shelf, config: FeedConfig, budget: Budget) -> ReRanker:
    """Slots by the rate of each content."""
    del shelf
    return Thompson([stock.belief], stock.new, budget.slots(config))


def linear(stock: "Stock", shelf: Shelf, config: FeedConfig, budget: Budget) -> ReRanker:
    """Slots by a layer over the content vectors, which learns of a content from what lies near it."""
    del shelf
    posteriors: list[Posterior] = [linear_of(stock)]
    return Thompson(posteriors, stock.new, budget.slots(config))


def epsilon_greedy(stock: "Stock", shelf: Shelf, config: FeedConfig, budget: Budget) -> ReRanker:
    """Each position by chance, or the best."""
    del stock, shelf
    usual = config.epsilon
    return EpsilonGreedy(usual if budget.share is None else replace(usual, epsilon=budget.share))


def diverse(stock: "Stock", shelf: Shelf, config: FeedConfig, budget: Budget) -> ReRanker:
    """The page as a whole, whatever the budget: nobody should serve this to all."""
    del stock, budget
    return DiverseExploration(shelf, config.diverse.theta, config.diverse.depth)


EXPLORERS: Final[Mapping[str, Callable[["Stock", Shelf, FeedConfig, Budget], ReRanker]]] = {
    "thompson": thompson,
    "linear": linear,
    "epsilon_greedy": epsilon_greedy,
    "diverse": diverse,
}


def linear_of(stock: "Stock") -> LinearPosterior:
    """The linear posterior of a stock; made at the first request that needs it."""
    if not _linear or _linear[0][0] is not stock:
        _linear[:] = [(stock, linear_posterior(stock.shelf, stock.belief))]
    return _linear[0][1]


def linear_posterior(shelf: Shelf, belief: BetaPosteriors) -> LinearPosterior:
    """What the watched rates of all contents leave unknown of each, by a linear layer over their vectors.

    With x the vector of a content and n how many met it, P = (I + sum of n x x')^-1: the posterior of as many events of
    `BayesianLinear`. Its mean is left at 0, as what is expected is the ranker's business and would count twice. Noise
    is that of one watched-or-not at the mean rate, and the scale that of the rates.
    """
    vectors = shelf.embedding.astype(np.float64)
    model = BayesianLinear(vectors.shape[1], noise=float(np.sqrt(belief.prior * (1.0 - belief.prior))))
    precision = np.eye(model.dims) + (vectors * belief.trials[:, None]).T @ vectors
    model.inverse = np.asarray(np.linalg.inv(precision), np.float64)
    return LinearPosterior(model, lambda rows: vectors[rows], scale=belief.scale)
