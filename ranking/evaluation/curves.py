"""What a model's chances look like beside what happened, as points to plot: calibration and lift. Plain arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int8]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CalibrationPoint:
    """Examples of like chance: how many, what was expected of them on average, and what share was positive."""

    examples: int
    expected: float
    observed: float


@dataclass(frozen=True, slots=True)
class LiftPoint:
    """The best so many percent by score: share of all positives among them, and how often as dense as in all."""

    top_pct: float
    captured: float
    lift: float


def calibration_curve(labels: Labels, chances: Floats, *, bins: int = 10) -> list[CalibrationPoint]:
    """Expected and observed share in bins of equally many examples, lowest chance first; none without examples.

    >>> calibration_curve(np.array([0, 1], np.int8), np.array([0.1, 0.8]), bins=2)[1]
    CalibrationPoint(examples=1, expected=0.8, observed=1.0)
    """
    order = np.argsort(chances, kind="stable")
    parts = np.array_split(order, min(bins, len(order))) if len(order) else []
    return [CalibrationPoint(len(part), float(chances[part].mean()), float(labels[part].mean())) for part in parts]


def lift_curve(labels: Labels, scores: Floats, *, steps: int = 10) -> list[LiftPoint]:
    """Gains of showing the best first, in equal steps up to all; none where no example is positive.

    Examples of the same score count in the order they come in, so shuffle before where many are alike.

    >>> [point.lift for point in lift_curve(np.array([1, 0, 0, 0], np.int8), np.array([0.9, 0.2, 0.1, 0.3]), steps=2)]
    [2.0, 1.0]
    """
    positives = int(labels.sum())
    if positives == 0:
        return []
    found = np.cumsum(labels[np.argsort(-scores, kind="stable")])
    points = []
    for step in range(1, steps + 1):
        taken = max(round(len(labels) * step / steps), 1)
        captured = float(found[taken - 1]) / positives
        points.append(LiftPoint(100.0 * step / steps, captured, captured * len(labels) / taken))
    return points
