"""How well scores order and predict what happened: AUC, log loss, calibration, and AUC within sessions.

All functions take labels in {0, 1} and scores of the same length. A number that the data cannot give is None, never a
plausible default: AUC needs both classes, GAUC needs a session with both.

Intervals are cluster bootstraps over users (`intervals`). Watch time has metrics of its own (`watch_time`), the ranking
of a whole catalogue too (`catalogue`), and what another policy would have earned is estimated in `counterfactual`.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranking.evaluation.intervals import Interval, cluster_interval

Labels = NDArray[np.int8]
Floats = NDArray[np.float64]
Groups = NDArray[np.int64]

PROBABILITY_FLOOR = 1e-7
"""Log loss clips here, as Keras does: one overconfident example must not make the mean infinite."""
CALIBRATION_BINS = 20
BOOTSTRAP_ROUNDS = 200


@dataclass(frozen=True, slots=True)
class OfflineMetrics:
    """One model on one set of examples; what cannot be known is None.

    Attributes
    ----------
    examples, positives : counts
    auc, auc_interval : probability that a positive example is scored above a negative one, and its 95 % interval
    gauc : the same within sessions, weighted by session length
    log_loss : mean negative log likelihood in nats
    ece : expected calibration error, over bins of equal mass
    """

    examples: int
    positives: int
    auc: float | None
    auc_interval: Interval | None
    gauc: float | None
    log_loss: float
    ece: float

    def as_json(self) -> dict[str, Any]:
        """The metrics as plain JSON types, the interval as `{"low", "high"}`."""
        return asdict(self)


def auc(labels: Labels, scores: Floats) -> float | None:
    """Area under the ROC curve; tied scores count half. None if only one class is present.

    AUC = (sum of ranks of the positives - p (p + 1) / 2) / (p q), ranks from 1 and averaged within ties
    (Mann and Whitney, 1947).

    >>> auc(np.array([0, 1, 1], np.int8), np.array([0.1, 0.9, 0.1]))
    0.75
    """
    return _weighted_auc(_RankedPairs.of(labels, scores), np.ones(len(labels)))


def gauc(labels: Labels, scores: Floats, groups: Groups) -> float | None:
    """Mean AUC within groups, weighted by group size, over the groups that have both classes; None if there is none.

    >>> gauc(np.array([0, 1, 1, 0], np.int8), np.array([0.1, 0.2, 0.3, 0.9]), np.array([0, 0, 1, 1]))
    0.5
    """
    if len(labels) == 0:
        return None
    order = np.lexsort((scores, groups))
    group, score, label = groups[order], scores[order], labels[order].astype(np.float64)
    new_group = np.r_[True, group[1:] != group[:-1]]
    group_index = np.cumsum(new_group) - 1
    size = np.bincount(group_index).astype(np.float64)
    positives = np.bincount(group_index, weights=label)
    # Ranks run through the whole array; subtracting the group's first position turns them into ranks within it.
    tie = np.cumsum(new_group | np.r_[True, score[1:] != score[:-1]]) - 1
    position = np.arange(1, len(score) + 1, dtype=np.float64)
    rank = (np.bincount(tie, weights=position) / np.bincount(tie))[tie] - np.flatnonzero(new_group)[group_index]
    rank_sum = np.bincount(group_index, weights=rank * label)
    both = (positives > 0) & (positives < size)
    if not both.any():
        return None
    p, n = positives[both], size[both]
    per_group = (rank_sum[both] - p * (p + 1) / 2) / (p * (n - p))
    return float(np.average(per_group, weights=n))


def log_loss(labels: Labels, probabilities: Floats) -> float:
    """Mean of -log p(what happened), in nats; probabilities are clipped to [1e-7, 1 - 1e-7]. Needs one example.

    >>> round(log_loss(np.array([1, 0], np.int8), np.array([0.5, 0.5])), 4)
    0.6931
    """
    if len(labels) == 0:
        raise ValueError("log_loss needs at least one example, got 0")
    p = np.clip(probabilities, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    return float(-np.mean(np.where(labels == 1, np.log(p), np.log1p(-p))))


def ece(labels: Labels, probabilities: Floats, *, bins: int = CALIBRATION_BINS) -> float:
    """Expected calibration error: sum over bins of |mean probability - share of positives| x share of examples.

    Bins hold equally many examples (Nguyen and O'Connor, 2015), because equal-width bins leave most of the range of a
    rare event empty. With fewer examples than bins every example is its own bin. Needs one example.

    >>> round(ece(np.array([1, 0, 1, 0], np.int8), np.array([0.9, 0.9, 0.1, 0.1]), bins=2), 6)
    0.4
    """
    if len(labels) == 0:
        raise ValueError("ece needs at least one example, got 0")
    order = np.argsort(probabilities, kind="stable")
    gaps = [
        abs(float(probabilities[part].sum() - labels[part].sum()))
        for part in np.array_split(order, min(bins, len(order)))
    ]
    return sum(gaps) / len(labels)


def auc_interval(
    labels: Labels, scores: Floats, clusters: Groups, *, rng: np.random.Generator, rounds: int = BOOTSTRAP_ROUNDS
) -> Interval | None:
    """95 % interval of the AUC; None if one class is missing or there are fewer than two clusters."""
    ranked = _RankedPairs.of(labels, scores)
    return cluster_interval(lambda weights: _weighted_auc(ranked, weights), clusters, rng=rng, rounds=rounds)


def auc_difference_interval(
    labels: Labels,
    scores: Floats,
    other: Floats,
    clusters: Groups,
    *,
    rng: np.random.Generator,
    rounds: int = BOOTSTRAP_ROUNDS,
) -> Interval | None:
    """95 % interval of AUC(scores) - AUC(other) on the same examples; paired, so far narrower than two intervals."""
    first, second = _RankedPairs.of(labels, scores), _RankedPairs.of(labels, other)

    def difference(weights: Floats) -> float | None:
        a, b = _weighted_auc(first, weights), _weighted_auc(second, weights)
        return None if a is None or b is None else a - b

    return cluster_interval(difference, clusters, rng=rng, rounds=rounds)


def evaluate(
    labels: Labels, probabilities: Floats, *, sessions: Groups, users: Groups, rng: np.random.Generator
) -> OfflineMetrics:
    """All metrics of one model on one set of examples (at least one)."""
    return OfflineMetrics(
        examples=len(labels),
        positives=int(labels.sum()),
        auc=auc(labels, probabilities),
        auc_interval=auc_interval(labels, probabilities, users, rng=rng),
        gauc=gauc(labels, probabilities, sessions),
        log_loss=log_loss(labels, probabilities),
        ece=ece(labels, probabilities),
    )


@dataclass(frozen=True, slots=True)
class _RankedPairs:
    """Examples sorted by score once, for many weighted passes: the order, the labels in it, the tie of each example."""

    order: NDArray[np.int64]
    positive: NDArray[np.bool_]
    tie: NDArray[np.int64]

    @classmethod
    def of(cls, labels: Labels, scores: Floats) -> "_RankedPairs":
        if len(labels) != len(scores):
            raise ValueError(f"{len(labels)} labels do not match {len(scores)} scores")
        order = np.argsort(scores, kind="stable")
        ranked = scores[order]
        tie = np.cumsum(np.r_[False, ranked[1:] != ranked[:-1]]) if len(ranked) else np.empty(0, np.int64)
        return cls(order, labels[order] == 1, tie)


def _weighted_auc(ranked: _RankedPairs, weights: Floats) -> float | None:
    """Weighted share of (positive, negative) pairs in the right order, ties half."""
    w = weights[ranked.order]
    positive = np.bincount(ranked.tie, weights=np.where(ranked.positive, w, 0.0))
    negative = np.bincount(ranked.tie, weights=np.where(ranked.positive, 0.0, w))
    pairs = positive.sum() * negative.sum()
    if pairs == 0:
        return None
    below = np.cumsum(negative) - negative
    return float((positive * (below + negative / 2)).sum() / pairs)
