"""What one arm of an experiment tells of one metric: sums over its users, from which all else follows.

A metric is a mean of a number per user, or a ratio of two sums over users (clicks over impressions). Either may be
adjusted by what the same users did before (CUPED). All four are one function of the means of up to four columns, so
their variance is that function's gradient around the covariances of the columns (delta method), with the user as the
unit. A rate's binomial error would be wrong in either direction, as the impressions of one user are alike.

    columns    over                        over, under                 and the same before, where there is a before
    value      mean(over)                  mean(over) / mean(under)    minus theta (value before)

Theta is that of all arms together, so it cannot favour one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

FEWEST: Final = 2
"""With fewer users there is no variance."""
NO_VARIANCE: Final = "zero or negative variance"


class Unreadable(ValueError):
    """There is no effect to be read, and the sentence says why."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over n users: `total` float64 (k,) of k columns, `products` float64 (k, k) of their products."""

    n: int
    total: NDArray[np.float64]
    products: NDArray[np.float64]

    @classmethod
    def of(cls, *columns: NDArray[np.number]) -> "Sums":
        """The sums of columns that have one value per user."""
        told = np.stack([np.asarray(column, np.float64) for column in columns])
        return cls(told.shape[1], told.sum(axis=1), told @ told.T)

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(self.n + other.n, self.total + other.total, self.products + other.products)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Of each column."""
        return self.total / self.n

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Of the columns, unbiased."""
        mean = self.mean
        found: NDArray[np.float64] = (self.products - self.n * np.outer(mean, mean)) / (self.n - 1)
        return found


@dataclass(frozen=True, slots=True)
class Moments:
    """The value of a metric in one arm.

    Attributes
    ----------
    variance : n times that of the value
    plain : the value without adjustment, which a lift is relative to: the adjusted one has lost its level
    plain_variance, covariance : n times the variance of `plain`, and its covariance with the value
    """

    n: int
    value: float
    variance: float
    plain: float
    plain_variance: float
    covariance: float

    @classmethod
    def unadjusted(cls, n: int, value: float, variance: float) -> "Moments":
        """Where nothing was taken off."""
        return cls(n, value, variance, value, variance, variance)


def proportion(successes: int, n: int) -> Moments:
    """A share of n users, with the variance p (1 - p)."""
    share = successes / n
    return Moments.unadjusted(n, share, share * (1.0 - share))


def mean_of(sums: Sums) -> Moments:
    """The mean of one column."""
    _check(sums)
    return _checked(Moments.unadjusted(sums.n, float(sums.mean[0]), float(sums.covariance[0, 0])))


def ratio_of(sums: Sums) -> Moments:
    """Sum of the first column over sum of the second."""
    _check(sums)
    value, gradient = _value(sums, "ratio", 0)
    return _checked(Moments.unadjusted(sums.n, value, float(gradient @ sums.covariance @ gradient)))


def theta_of(arms: Sequence[Sums], kind: str) -> float:
    """How much of what users did before to take off: covariance over variance within the arms, pooled; 0 where the
    time before says nothing."""
    along = spread = 0.0
    for sums in arms:
        _check(sums)
        after, before = _value(sums, kind, 0)[1], _value(sums, kind, 1)[1]
        covariance = sums.covariance * (sums.n - 1)
        along += float(after @ covariance @ before)
        spread += float(before @ covariance @ before)
    return along / spread if spread > 0.0 else 0.0


def adjusted(arms: Sequence[Sums], kind: str) -> list[Moments]:
    """The value of each arm, less theta times that of the time before.

    Parameters
    ----------
    arms : sums of the columns, then of the same columns before
    kind : "mean" (two columns) or "ratio" (four)
    """
    theta = theta_of(arms, kind)
    found = []
    for sums in arms:
        plain, after = _value(sums, kind, 0)
        earlier, before = _value(sums, kind, 1)
        gradient, covariance = after - theta * before, sums.covariance
        found.append(_checked(Moments(
            sums.n, plain - theta * earlier, float(gradient @ covariance @ gradient), plain,
            float(after @ covariance @ after), float(gradient @ covariance @ after),
        )))  # fmt: skip
    return found


def _value(sums: Sums, kind: str, which: int) -> tuple[float, NDArray[np.float64]]:
    """A value and its gradient over all columns; `which` is 0 for after, 1 for before."""
    gradient = np.zeros(len(sums.total))
    if kind == "mean":
        gradient[which] = 1.0
        return float(sums.mean[which]), gradient
    over, under = sums.mean[2 * which : 2 * which + 2]
    if under == 0.0:
        if which:
            # Nobody did anything before: nothing to take off.
            return 0.0, gradient
        raise Unreadable("nothing to divide by: the denominator is zero for every user")
    gradient[2 * which : 2 * which + 2] = 1.0 / under, -over / under**2
    return float(over / under), gradient


def _check(sums: Sums) -> None:
    if sums.n < FEWEST:
        raise Unreadable(f"{sums.n} users are too few: {NO_VARIANCE}")


def _checked(moments: Moments) -> Moments:
    if not (math.isfinite(moments.variance) and moments.variance > 0.0):
        raise Unreadable(NO_VARIANCE)
    return moments
