"""What exploration costs: watch time and exposure of new contents under some policies, in one simulated week.

Greedy shows the best; the source design's epsilon-greedy gives each position to a uniform draw from the whole catalogue
with chance 0.1. The others are the stages that a feed can be configured with (`ranking.explorers`): epsilon-greedy over
the safe pool, Thompson sampling by a linear layer, whole pages from a k-DPP; ours is the usual one, Thompson sampling
by content in one slot of ten.
"""

from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from events.columnar.history import History
from ranking.explorers import linear_posterior
from ranking.pipeline.stages import FeedQuery, ReRanker
from ranking.rerank.exploration import EpsilonGreedy, ExplorationConfig, draw_pages
from ranking.rerank.kdpp import DiverseExploration
from ranking.rerank.thompson import Thompson, ThompsonConfig
from recsys.benchmarks import kuairand_log
from recsys.benchmarks.exploration_world import PAGE, Offer, Week, World
from recsys.benchmarks.results import Bar, Options, Result

LEAST_NEW_SHARE: Final = 0.10
LARGEST_LOSS: Final = 0.02
SEEDS: Final = 10
USERS: Final = 400
EPSILON: Final = 0.1
SHORTLIST: Final = 200
"""Candidates of a request: the most promising by value."""
POOL: Final = 50
"""And new contents among those with the fewest trials: what an exploration source retrieves."""
SCALE: Final = 4.0
CONFIG: Final = ThompsonConfig(newcomer_events=0, draws=1)
"""Every simulated user has a history. The week needs pages, not their propensities: one draw instead of 256."""

Indices = NDArray[np.int64]


def run(options: Options) -> Result:
    """All policies in the same worlds, one world per seed."""
    log = kuairand_log.read(options.path) if options.path else kuairand_log.planted()
    seeds, users = (3, 200) if options.quick else (SEEDS, USERS)
    policies = {
        "greedy": greedy,
        "epsilon": epsilon_greedy,
        "safe_epsilon": safe_epsilon,
        "linear": linear,
        "diverse": diverse,
        "ours": thompson,
    }
    weeks: dict[str, list[Week]] = {name: [] for name in policies}
    for seed in range(seeds):
        world = World(log, users=users, seed=seed)
        for name, policy in policies.items():
            weeks[name].append(world.live(policy, scale=SCALE))
    return judge(weeks)


def best_first(value: NDArray[np.float64], count: int) -> Indices:
    """Indices of the `count` largest of each row, largest first."""
    some = np.argpartition(-value, count, axis=1)[:, :count]
    return np.take_along_axis(some, np.argsort(-np.take_along_axis(value, some, axis=1), axis=1, kind="stable"), axis=1)


def greedy(offer: Offer, _rng: np.random.Generator) -> Indices:
    """The best by value."""
    return best_first(offer.value, PAGE)


def epsilon_greedy(offer: Offer, rng: np.random.Generator) -> Indices:
    """Ranks as the policy draws them from all that the user may see."""
    page = np.empty((len(offer.value), PAGE), np.int64)
    for user, value in enumerate(offer.value):
        free = int(np.isfinite(value).sum())
        ranks = draw_pages(rng, 1, safe=free, size=PAGE, epsilon=EPSILON)[1][0]
        page[user] = np.argpartition(-value, np.sort(ranks))[ranks]
    return page


def thompson(offer: Offer, rng: np.random.Generator) -> Indices:
    """The usual stage."""
    return _staged(offer, rng, Thompson([offer.belief], offer.new, CONFIG))


def linear(offer: Offer, rng: np.random.Generator) -> Indices:
    """The same slots, by a linear layer over the vectors."""
    return _staged(offer, rng, Thompson([linear_posterior(offer.shelf, offer.belief)], offer.new, CONFIG))


def safe_epsilon(offer: Offer, rng: np.random.Generator) -> Indices:
    """Epsilon-greedy over the best candidates of each user."""
    return _staged(offer, rng, EpsilonGreedy(ExplorationConfig(epsilon=EPSILON)))


def diverse(offer: Offer, rng: np.random.Generator) -> Indices:
    """Whole pages from a k-DPP."""
    return _staged(offer, rng, DiverseExploration(offer.shelf))


def _staged(offer: Offer, rng: np.random.Generator, stage: ReRanker) -> Indices:
    """A stage as the feed runs it, on each user's shortlist."""
    lists = best_first(offer.value, SHORTLIST)
    page = np.empty((len(lists), PAGE), np.int64)
    now = datetime(2026, 11, 24, tzinfo=UTC)
    nobody = np.empty(0, np.int64)
    for user, best in enumerate(lists):
        value = offer.value[user]
        young = np.flatnonzero(offer.new & np.isfinite(value))
        young = young[np.argsort(offer.belief.trials[young] + rng.random(len(young)))[:POOL]]
        candidates = np.union1d(best, young)
        candidates = candidates[np.argsort(-value[candidates], kind="stable")]
        query = FeedQuery("u", now, History.empty(), nobody, None, "for_you", "default", PAGE, int(rng.integers(2**62)))
        picks = stage.order(query, candidates, value[candidates].astype(np.float32)).picks
        page[user] = candidates[picks[:PAGE]]
    return page


def judge(weeks: dict[str, list[Week]]) -> Result:
    """Paired differences to greedy over seeds, and the bars of our policy."""
    base = np.array([week.watch_s for week in weeks["greedy"]])
    figures: dict[str, float] = {"seeds": len(base)}
    rows = []
    for name, lived in weeks.items():
        watch = np.array([week.watch_s for week in lived])
        share, tried = (
            float(np.mean([getattr(week, each) for week in lived])) for each in ("new_share", "tried_share")
        )
        change = watch / base - 1.0
        low, high = interval(change)
        figures |= {
            f"{name}_watch_s": float(watch.mean()),
            f"{name}_watch_change": float(change.mean()),
            f"{name}_watch_change_low": low,
            f"{name}_watch_change_high": high,
            f"{name}_new_share": share,
            f"{name}_tried_share": tried,
        }
        rows.append((
            name, f"{watch.mean():,.0f} s", f"{change.mean():+.2%} [{low:+.2%}, {high:+.2%}]", f"{share:.1%}",
            f"{tried:.0%}",
        ))  # fmt: skip
    bars = (
        Bar.at_least("exploration: new-content share of ours", figures["ours_new_share"], LEAST_NEW_SHARE),
        Bar.at_most("exploration: watch time lost to greedy by ours", -figures["ours_watch_change"], LARGEST_LOSS),
    )
    columns = ("policy", "watch time per user", "against greedy, 95 %", "impressions of new", "uploads tried 5 times")
    return Result("exploration", figures, columns, rows, bars)


def interval(changes: NDArray[np.float64]) -> tuple[float, float]:
    """95 % t interval of the mean of paired differences; a point where there is no spread or one seed only."""
    mean = float(changes.mean())
    if len(changes) < 2:
        return mean, mean
    half = float(stats.t.ppf(0.975, len(changes) - 1) * changes.std(ddof=1) / np.sqrt(len(changes)))
    return mean - half, mean + half
