"""How values spread: quantiles, and how unequally exposure is shared."""

import numpy as np
from numpy.typing import NDArray


def quantile(values: NDArray[np.integer] | NDArray[np.floating], share: float) -> float | None:
    """The quantile of some values, interpolated between the two around it (as `percentile_cont` of SQL); None of none.

    >>> quantile(np.array([1, 2, 4, 10]), 0.5)
    3.0
    """
    if not len(values):
        return None
    place = share * (len(values) - 1)
    low, high = int(np.floor(place)), int(np.ceil(place))
    found = np.partition(values, (low, high))
    return float(found[low] + (place - low) * (float(found[high]) - float(found[low])))


def gini(amounts: NDArray[np.integer]) -> float | None:
    """Gini coefficient: 0 where all have the same, near 1 where one has everything; None where there is nothing.

    Mean absolute difference of all pairs over twice the mean, from the sorted amounts.

    >>> gini(np.array([5, 5, 5])), round(gini(np.array([0, 0, 0, 8])), 2)
    (0.0, 0.75)
    """
    total = int(amounts.sum())
    if not len(amounts) or not total:
        return None
    ordered = np.sort(amounts).astype(np.float64)
    n = len(ordered)
    ranks = np.arange(1, n + 1)
    return float(2.0 * (ranks * ordered).sum() / (n * total) - (n + 1) / n)
