"""How far what is seen now lies from what a model learned from: the population stability index.

PSI = sum over bins of (now - then) ln(now / then), with the bins cut at quantiles of then (Siddiqi, Credit Risk
Scorecards, 2006). Below 0.1 nothing has changed, above 0.25 a model should not be trusted.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

BINS: Final = 10
LEAST_SHARE: Final = 1e-4
"""An empty bin counts as this share, so that one missing value does not make the index infinite."""


def edges(values: NDArray[np.floating], bins: int = BINS) -> NDArray[np.float64]:
    """Inner edges of bins that hold equal shares of the values, and of an empty one below the least of them.

    A value that fills bins by itself (a feature that is mostly 0) makes them one; an edge belongs to the bin below it.

    >>> edges(np.array([0.0, 0.0, 0.0, 1.0, 2.0, 3.0]), 3).tolist()
    [-5e-324, 0.0, 1.0]
    """
    found = values.astype(np.float64)
    cut = np.quantile(found, np.arange(1, bins) / bins, method="inverted_cdf")
    return np.unique([np.nextafter(found.min(), -np.inf), *cut])


def shares(values: NDArray[np.floating], cut: NDArray[np.float64] | Sequence[float]) -> NDArray[np.float64]:
    """Share of the values in each bin between the inner edges, float64 (edges + 1,)."""
    place = np.searchsorted(np.asarray(cut, np.float64), values.astype(np.float64), "left")
    return np.bincount(place, minlength=len(cut) + 1) / max(len(values), 1)


def psi(then: Sequence[float] | NDArray[np.floating], now: Sequence[float] | NDArray[np.floating]) -> float:
    """The index of two divisions into the same bins; counts are as good as shares.

    >>> round(psi([10, 20, 30, 40], [40, 30, 20, 10]), 7)
    0.9128696
    >>> psi([1, 1], [5, 5])
    0.0
    """
    a, b = (np.asarray(each, np.float64) for each in (then, now))
    if a.shape != b.shape or not a.sum() or not b.sum():
        raise ValueError(f"two divisions of something into the same bins are compared; got {a.shape} and {b.shape}")
    a, b = (np.maximum(each / each.sum(), LEAST_SHARE) for each in (a, b))
    return float(((b - a) * np.log(b / a)).sum())
