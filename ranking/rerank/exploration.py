"""epsilon-greedy over the safe candidates, with the exact probability of every position it fills.

The source design draws the explored item from the whole catalogue; here it comes from the best `depth` candidates,
which have passed every filter: exploration must not show what was refused, hidden or is hopeless.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.stages import FeedQuery, Ids, Positions, Scores


@dataclass(frozen=True, slots=True)
class ExplorationConfig:
    """Uniform exploration costs watch time in proportion; 5 % over 40 candidates leaves support for estimation."""

    epsilon: float = 0.05
    depth: int = 40

    def __post_init__(self) -> None:
        if not 0.0 <= self.epsilon <= 1.0:
            raise ValueError(f"epsilon must lie in [0, 1], got {self.epsilon}")
        if self.depth < 1:
            raise ValueError(f"depth must be at least 1, got {self.depth}")


@dataclass(slots=True)
class EpsilonGreedy:
    """Each position: with probability epsilon a uniform draw from the remaining safe ones, else the best remaining.

    The order in which candidates arrive is the preference; behind the safe ones the rest follow as they came, with
    propensity 1. `propensity[t]` is the marginal probability that candidate `picks[t]` lands on position `t`, over all
    draws of this policy, not the conditional one given the page so far: that is what estimators of single positions
    need.
    """

    config: ExplorationConfig = ExplorationConfig()
    name: str = "epsilon_greedy"

    def order(self, query: FeedQuery, candidates: Ids, scores: Scores) -> Positions:
        """`query.size` positions (fewer if there are fewer candidates), repeatable by `query.seed`."""
        size = min(query.size, len(candidates))
        safe = min(self.config.depth, len(candidates))
        rng = np.random.default_rng(query.seed)
        explored, pages = draw_pages(rng, 1, safe=safe, size=min(size, safe), epsilon=self.config.epsilon)
        chosen = pages[0]
        behind = np.arange(safe, size, dtype=np.int64)
        propensity = position_propensity(chosen, safe, self.config.epsilon)
        return Positions(
            np.concatenate([chosen, behind]),
            np.concatenate([propensity, np.ones(len(behind), np.float32)]),
            dict.fromkeys(np.flatnonzero(explored[0]).tolist(), "exploration"),
        )


def draw_pages(
    rng: np.random.Generator, pages: int, *, safe: int, size: int, epsilon: float
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Independent pages of this policy: where a draw passed over better ones, and the picks; both (pages, size).

    Each position says how many of the remaining candidates it passes over, 0 without exploration. Such a list is the
    Lehmer code of the page, decoded from its end: a later pick moves up by one for each earlier one not above it.
    """
    left = safe - np.arange(size)
    explores = rng.random((pages, size)) < epsilon
    picks = np.where(explores, rng.integers(left, size=(pages, size)), 0)
    explored = picks > 0
    for position in range(size - 2, -1, -1):
        picks[:, position + 1 :] += picks[:, position + 1 :] >= picks[:, position : position + 1]
    return explored, picks


def position_propensity(picks: NDArray[np.int64], safe: int, epsilon: float) -> NDArray[np.float32]:
    """P(the policy puts candidate `picks[t]` on position `t`), exactly, for each t.

    For a candidate of rank r the only state that matters is `a`, how many better ones are still unplaced; it starts at
    r. At position t, with m = safe - t left: it is taken with chance (1 - eps) [a = 0] + eps / m, one of the better
    ones with (1 - eps) [a > 0] + eps a / m, and a worse one otherwise. The recursion runs for all picks at once.

    >>> position_propensity(np.array([0, 1]), 2, 0.5).tolist()  # the best comes first with 1 - eps + eps / 2
    [0.75, 0.75]
    """
    count = len(picks)
    if count == 0:
        return np.empty(0, np.float32)
    better = np.arange(safe, dtype=np.float64)
    state = np.zeros((count, safe))
    state[np.arange(count), picks] = 1.0
    taken = np.where(better == 0, 1.0 - epsilon, 0.0)
    result = np.empty(count)
    for position in range(count):
        left = safe - position
        result[position] = state[position] @ (taken + epsilon / left)
        passes = np.where(better > 0, 1.0 - epsilon, 0.0) + epsilon * better / left
        stays = epsilon * np.maximum(left - 1 - better, 0.0) / left
        moved = np.zeros_like(state)
        moved[:, :-1] = state[:, 1:] * passes[1:]
        state = moved + state * stays
    return np.clip(result, np.finfo(np.float32).tiny, 1.0).astype(np.float32)
