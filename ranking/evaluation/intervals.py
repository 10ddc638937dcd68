"""Bootstrap intervals over users: the rows of one user resemble each other, so users are drawn, not rows.

Drawing clusters with replacement is the same as weighing every row by how often its cluster was drawn, so a statistic
that takes weights is sorted once and each round is one weighted pass. For a mean over users there is nothing to sort.

An interval of a difference is paired: the same draw of users weighs both sides. That is far narrower than two
intervals, and two models may only be told apart by it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
_DRAWS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A bootstrap percentile interval."""

    low: float
    high: float

    def excludes_zero(self) -> bool:
        """Whether a difference with this interval is told apart from none.

        >>> Interval(0.01, 0.03).excludes_zero(), Interval(-0.01, 0.03).excludes_zero()
        (True, False)
        """
        return self.low > 0.0 or self.high < 0.0


def of_draws(values: Floats) -> Interval:
    """The middle 95 % of the values of a statistic over the rounds.

    >>> of_draws(np.full(200, 0.5))
    Interval(low=0.5, high=0.5)
    """
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail]).tolist()
    return Interval(low, high)


def cluster_interval(
    statistic: Callable[[Floats], float | None],
    clusters: NDArray[np.int64],
    *,
    rng: np.random.Generator,
    rounds: int,
) -> Interval | None:
    """Interval of a weighted statistic over resampled clusters; None with fewer than two of them.

    Parameters
    ----------
    statistic : weights per row, float64 (n,), to its value, or to None where the draw cannot give one
    clusters : int64 array (n,), the user of each row
    """
    index = np.unique(clusters, return_inverse=True)[1]
    count = int(index.max()) + 1 if len(index) else 0
    if count < 2:
        return None
    draws = (statistic(rng.multinomial(count, np.full(count, 1 / count))[index].astype(float)) for _ in range(rounds))
    values = [value for value in draws if value is not None]
    # Where most draws cannot be judged the rest are no fair choice of anything.
    return of_draws(np.array(values)) if len(values) >= rounds / 2 else None


def mean_interval(values: Floats, *, rng: np.random.Generator, rounds: int = 1_000) -> Interval | None:
    """Interval of the mean of one value per user; None with fewer than two users. Paired where it is given differences.

    >>> mean_interval(np.full(50, 0.25), rng=np.random.default_rng(1))
    Interval(low=0.25, high=0.25)
    """
    means = bootstrap_means(values, rng=rng, rounds=rounds)
    return None if means is None else of_draws(means)


def ratio_interval(values: Floats, others: Floats, *, rng: np.random.Generator, rounds: int = 1_000) -> Interval | None:
    """Interval of mean(values) / mean(others), paired by user; None with fewer than two users or a mean of zero.

    >>> ratio_interval(np.array([2.0, 4.0]), np.array([1.0, 2.0]), rng=np.random.default_rng(1))
    Interval(low=2.0, high=2.0)
    """
    if len(values) != len(others):
        raise ValueError(f"{len(values)} values do not match {len(others)} others")
    pair = bootstrap_means(np.stack([values, others], axis=1), rng=rng, rounds=rounds)
    if pair is None or not (pair[:, 1] > 0.0).all():
        return None
    return of_draws(pair[:, 0] / pair[:, 1])


def bootstrap_means(values: Floats, *, rng: np.random.Generator, rounds: int) -> Floats | None:
    """Means of the columns of `values` (users,) or (users, k) in every round: (rounds,) or (rounds, k)."""
    count = len(values)
    if count < 2:
        return None
    even, step = np.full(count, 1 / count), max(1, _DRAWS_AT_ONCE // count)
    parts = [
        rng.multinomial(count, even, size=min(step, rounds - first)) @ values / count
        for first in range(0, rounds, step)
    ]
    return np.concatenate(parts)
