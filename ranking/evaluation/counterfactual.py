"""What another policy would have earned, estimated from what a logged one showed, with the chance it showed it.

With n logged picks, reward r, the logged chance p of the action taken, and the chances pi of the policy in question:

    w      = pi[taken] / p
    IPS    = mean(w r)                                   unbiased, wide
    SNIPS  = sum(w r) / sum(w)                           (Swaminathan and Joachims, 2015) narrower, bias of order 1/n
    DM     = mean over i of sum over a of pi[a] q[a]     as good as the reward model q
    DR     = DM + mean(w (r - q[taken]))                 (Dudik, Langford and Li, 2011) right if w or q is
    SNDR   = DM + sum(w (r - q[taken])) / sum(w)

A policy that seldom agrees with the logged one hangs on a handful of rows, and its estimate looks like any other
number. `estimate` therefore refuses below an effective sample size of 100 or of one in a hundred of the rows, or where
a single row carries more than a twentieth of all weight.

Not here: where the chances come from (`ranking.rerank` logs them), and models of the reward.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ranking.evaluation.intervals import Interval, bootstrap_means, of_draws

Floats = NDArray[np.float64]

LEAST_EFFECTIVE: Final = 100.0
LEAST_EFFECTIVE_SHARE: Final = 0.01
LARGEST_SHARE: Final = 0.05
ROUNDS: Final = 1_000


class TooLittleSupportError(ValueError):
    """The logged policy hardly ever did what the other one would do: there is no answer in this log."""


@dataclass(frozen=True, slots=True)
class LoggedPicks:
    """n logged picks among k actions.

    Attributes
    ----------
    reward : float64 array (n,)
    action : int64 array (n,), the action taken, in [0, k)
    propensity : float64 array (n,), in (0, 1]: the chance with which the logged policy took it
    policy : float64 array (n, k), the chances of the policy in question; rows add up to 1
    predicted : float64 array (n, k), the reward a model expects of each action; None where there is no model

    Raises
    ------
    ValueError : for columns that do not match, a propensity outside (0, 1], an action outside [0, k), chances that do
        not add up to 1, anything that is not finite
    """

    reward: Floats
    action: NDArray[np.int64]
    propensity: Floats
    policy: Floats
    predicted: Floats | None = None

    def __post_init__(self) -> None:
        n, k = self.policy.shape
        lengths = {len(self.reward), len(self.action), len(self.propensity)}
        if n == 0 or lengths != {n}:
            raise ValueError(f"the policy has {n} rows, the logged columns {sorted(lengths)}; one or more, and as many")
        if self.predicted is not None and self.predicted.shape != (n, k):
            raise ValueError(f"predicted rewards are {self.predicted.shape}, the policy is {(n, k)}")
        if not np.isfinite(self.reward).all():
            raise ValueError(f"{np.count_nonzero(~np.isfinite(self.reward))} rewards are not finite")
        if not ((self.propensity > 0.0) & (self.propensity <= 1.0)).all():
            worst = self.propensity[~((self.propensity > 0.0) & (self.propensity <= 1.0))][0]
            raise ValueError(f"a propensity must lie in (0, 1], got {worst}")
        if self.action.min() < 0 or self.action.max() >= k:
            raise ValueError(f"actions must lie in [0, {k}), got {self.action.min()} to {self.action.max()}")
        total = self.policy.sum(axis=1)
        if not (self.policy >= 0.0).all() or not np.allclose(total, 1.0, atol=1e-6):
            raise ValueError(
                f"the chances of a row must be >= 0 and add up to 1, got {total[np.abs(total - 1).argmax()]}"
            )

    def weights(self) -> Floats:
        """How much more often the policy in question would have taken each action, (n,)."""
        return np.asarray(self._taken(self.policy) / self.propensity)

    def _taken(self, table: Floats) -> Floats:
        return np.asarray(table[np.arange(len(table)), self.action])


@dataclass(frozen=True, slots=True)
class Estimate:
    """One estimator on one log: its value and the 95 % interval over resampled rows (or users)."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """What a log says of a policy.

    Attributes
    ----------
    estimates : `ips`, `snips`, and with a reward model `dr` and `sndr`
    effective_sample_size : so many rows drawn from the policy itself would tell as much
    largest_share : of all weight, in one row
    """

    estimates: Mapping[str, Estimate]
    effective_sample_size: float
    largest_share: float


def effective_sample_size(weights: Floats) -> float:
    """(sum w)^2 / sum w^2 (Kish, 1965); 0 where all weights are 0.

    >>> effective_sample_size(np.array([1.0, 1.0, 0.0, 0.0]))
    2.0
    """
    squares = float(np.square(weights).sum())
    return float(weights.sum()) ** 2 / squares if squares > 0.0 else 0.0


def ips(picks: LoggedPicks, *, largest_weight: float = np.inf) -> float:
    """Inverse propensity score; weights are cut at `largest_weight`, which trades variance for bias."""
    return float(np.mean(np.minimum(picks.weights(), largest_weight) * picks.reward))


def snips(picks: LoggedPicks) -> float:
    """Self-normalised inverse propensity score; TooLittleSupportError where all weights are 0."""
    return _normalised(picks, picks.reward)


def direct(picks: LoggedPicks) -> float:
    """The direct method: what the reward model expects of the policy."""
    return float(np.mean(_expected(picks)))


def doubly_robust(picks: LoggedPicks) -> float:
    """The direct method, corrected by the weighted error of the reward model."""
    return direct(picks) + float(np.mean(picks.weights() * _surprise(picks)))


def self_normalised_doubly_robust(picks: LoggedPicks) -> float:
    """The same with weights that add up to one; TooLittleSupportError where all are 0."""
    return direct(picks) + _normalised(picks, _surprise(picks))


def estimate(
    picks: LoggedPicks, *, rng: np.random.Generator, users: NDArray[np.int64] | None = None, rounds: int = ROUNDS
) -> PolicyValue:
    """Every estimator the log allows, with intervals.

    Parameters
    ----------
    users : int64 array (n,); rows of one user are drawn together. Without it each row is its own cluster.

    Raises
    ------
    TooLittleSupportError : when too few rows carry the weight for any number to mean something
    """
    weights = picks.weights()
    effective, share = effective_sample_size(weights), _largest_share(weights)
    least = max(LEAST_EFFECTIVE, LEAST_EFFECTIVE_SHARE * len(weights))
    if effective < least or share > LARGEST_SHARE:
        raise TooLittleSupportError(
            f"{len(weights)} rows are worth {effective:.1f} of the policy's own, and the heaviest carries {share:.1%} "
            f"of the weight; at least {least:.0f} and at most {LARGEST_SHARE:.0%} are needed"
        )
    columns = {"weight": weights, "ips": weights * picks.reward}
    values = {"ips": ips(picks), "snips": snips(picks)}
    if picks.predicted is not None:
        columns |= {"direct": _expected(picks), "surprise": weights * _surprise(picks)}
        values |= {"dr": doubly_robust(picks), "sndr": self_normalised_doubly_robust(picks)}
    means = bootstrap_means(_by_user(columns, users), rng=rng, rounds=rounds)
    if means is None:
        raise TooLittleSupportError("all rows are of one user: there is nothing to draw again")
    mean = dict(zip((*columns, "rows"), means.T, strict=True))
    draws = {"ips": mean["ips"] / mean["rows"], "snips": mean["ips"] / mean["weight"]}
    if picks.predicted is not None:
        model = mean["direct"] / mean["rows"]
        draws |= {"dr": model + mean["surprise"] / mean["rows"], "sndr": model + mean["surprise"] / mean["weight"]}
    found = {name: Estimate(value, of_draws(draws[name])) for name, value in values.items()}
    return PolicyValue(found, effective, share)


def _by_user(columns: Mapping[str, Floats], users: NDArray[np.int64] | None) -> Floats:
    """Sums of the columns per user, and the number of rows last: (users, columns + 1)."""
    table = np.stack([*columns.values(), np.ones(len(columns["weight"]))], axis=1)
    if users is None:
        return table
    index = np.unique(users, return_inverse=True)[1]
    return np.stack([np.bincount(index, column) for column in table.T], axis=1)


def _largest_share(weights: Floats) -> float:
    total = float(weights.sum())
    return float(weights.max()) / total if total > 0.0 else 1.0


def _normalised(picks: LoggedPicks, values: Floats) -> float:
    weights = picks.weights()
    if not weights.any():
        raise TooLittleSupportError(f"in {len(weights)} rows the policy would never have done what was done")
    return float(np.average(values, weights=weights))


def _expected(picks: LoggedPicks) -> Floats:
    return np.asarray((picks.policy * _model(picks)).sum(axis=1))


def _surprise(picks: LoggedPicks) -> Floats:
    return np.asarray(picks.reward - picks._taken(_model(picks)))


def _model(picks: LoggedPicks) -> Floats:
    if picks.predicted is None:
        raise ValueError("this estimator needs the rewards a model predicts, and there are none")
    return picks.predicted
