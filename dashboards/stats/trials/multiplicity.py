"""P-values of several questions asked at once: who asks twenty finds one answer by chance."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values under which the chance of any false finding holds (Holm 1979); as many as given, in their order.

    >>> [round(p, 2) for p in holm([0.01, 0.02, 0.03, 0.04, 0.05])]
    [0.05, 0.08, 0.09, 0.09, 0.09]
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    found = np.empty(len(p))
    found[order] = np.minimum(stepped, 1.0)
    return [float(each) for each in found]


def bonferroni(p_values: Sequence[float]) -> list[float]:
    """The same, coarser: every p-value times their number.

    >>> [round(p, 2) for p in bonferroni([0.01, 0.5])]
    [0.02, 1.0]
    """
    return [min(p * len(p_values), 1.0) for p in p_values]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """P-values under which the share of false ones among the findings holds: for exploring, not for deciding.

    >>> [round(p, 2) for p in benjamini_hochberg([0.01, 0.02, 0.03, 0.04, 0.05])]
    [0.05, 0.05, 0.05, 0.05, 0.05]
    """
    if not len(p_values):
        return []
    values, n = np.asarray(p_values, np.float64), len(p_values)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty(n)
    # A smaller p-value is never adjusted above a larger one.
    adjusted[order] = np.minimum.accumulate((values[order] * n / np.arange(1, n + 1))[::-1])[::-1]
    return [float(each) for each in np.minimum(adjusted, 1.0)]
