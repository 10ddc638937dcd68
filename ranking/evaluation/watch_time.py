"""How well predicted watch times order and match the real ones.

Three figures that only mean something together: a median head has the lowest mean absolute error and predicts a third
of what is watched, a mean head has no bias and a larger error, and neither says who of two contents is watched longer.

    MAE   mean |predicted - watched|, seconds
    bias  mean predicted / mean watched, 1 is right
    XAUC  of two examples watched for different times, the share whose predictions are in the right order, ties half

Durations are a shortcut: long contents are watched longer. XAUC within groups of like duration shows what is left
without it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

DURATION_GROUPS = 10


@dataclass(frozen=True, slots=True)
class WatchTimeMetrics:
    """One head on n examples; what cannot be known is None.

    Attributes
    ----------
    mae_s, rmse_s : seconds
    bias : mean predicted over mean watched
    xauc : over all pairs
    xauc_by_duration : within tenths of like duration, weighted by their size
    """

    mae_s: float
    rmse_s: float
    bias: float | None
    xauc: float | None
    xauc_by_duration: float | None


def xauc(watched: Floats, predicted: Floats) -> float | None:
    """Share of the pairs with different watch times that are predicted in the right order; None without such a pair.

    (1 + Somers' D) / 2, from Kendall's tau-b in n log n: tau-b counts pairs tied in the prediction out of both roots,
    D only those tied in what was watched.

    >>> xauc(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.1, 0.9])).__round__(6)
    0.833333
    """
    if len(watched) != len(predicted):
        raise ValueError(f"{len(watched)} watch times do not match {len(predicted)} predictions")
    apart, told = (len(watched) * (len(watched) - 1) // 2 - _tied(each) for each in (watched, predicted))
    if apart == 0:
        return None
    if told == 0:
        return 0.5
    # Ranks, because two floats that differ in the last bit are no tie and must not become one.
    ranks = (stats.rankdata(each, method="dense") for each in (watched, predicted))
    tau = float(stats.kendalltau(*ranks, method="asymptotic").statistic)
    return 0.5 + 0.5 * tau * float(np.sqrt(told / apart))


def grouped_xauc(watched: Floats, predicted: Floats, groups: NDArray[np.int64]) -> float | None:
    """Mean XAUC within groups, weighted by their size, over those that have a pair; None if there is none."""
    parts = [(xauc(watched[of], predicted[of]), int(of.sum())) for of in (groups == each for each in np.unique(groups))]
    judged = [(value, size) for value, size in parts if value is not None]
    if not judged:
        return None
    values, sizes = zip(*judged, strict=True)
    return float(np.average(values, weights=sizes))


def duration_groups(duration_s: Floats, *, count: int = DURATION_GROUPS) -> NDArray[np.int64]:
    """Which tenth by duration each example is in; equal durations are never apart.

    >>> duration_groups(np.array([5.0, 5.0, 9.0, 60.0]), count=2).tolist()
    [0, 0, 1, 1]
    """
    if len(duration_s) == 0:
        return np.empty(0, np.int64)
    edges = np.quantile(duration_s, np.linspace(0.0, 1.0, count + 1)[1:-1])
    return np.searchsorted(edges, duration_s).astype(np.int64)


def evaluate(watched_s: Floats, predicted_s: Floats, duration_s: Floats) -> WatchTimeMetrics:
    """All metrics of one head on at least one example."""
    if len(watched_s) == 0:
        raise ValueError("watch-time metrics need at least one example, got 0")
    error, mean = predicted_s - watched_s, float(watched_s.mean())
    return WatchTimeMetrics(
        mae_s=float(np.abs(error).mean()),
        rmse_s=float(np.sqrt(np.square(error).mean())),
        bias=float(predicted_s.mean()) / mean if mean > 0.0 else None,
        xauc=xauc(watched_s, predicted_s),
        xauc_by_duration=grouped_xauc(watched_s, predicted_s, duration_groups(duration_s)),
    )


def _tied(values: Floats) -> int:
    count = np.unique(values, return_counts=True)[1].astype(np.int64)
    return int((count * (count - 1) // 2).sum())
