"""The gates a trained model must pass before it may serve, as one pure function over its recorded metrics.

A gate that fails is a sentence for a person. The metrics are stored with the model version, so the same gates give the
same answer at any later promotion.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ranking.evaluation.offline import CALIBRATION_BINS

_NOISE: Final = 2.0
"""Times the calibration error that a perfectly calibrated model shows by chance."""


@dataclass(frozen=True, slots=True)
class Gates:
    """What a model must show. Stored with the model version as part of its training config.

    Attributes
    ----------
    min_train, min_test : examples on either side of the cut; fewer and the figures below mean nothing
    max_ece : calibration error of the long view, beyond what chance makes of so few examples
    max_ms, max_slower : for the 300 candidates of a feed, at their best; times what the champion takes beside it
    """

    min_train: int = 500
    min_test: int = 100
    max_ece: float = 0.03
    max_ms: float = 50.0
    max_slower: float = 5.0


def failed_gates(metrics: Mapping[str, Any], gates: Gates) -> tuple[str, ...]:
    """One sentence for each gate that does not hold; empty means the model may serve.

    The metrics are those of `training.train`: `train_examples`, `test` (an `OfflineMetrics` as JSON) and
    `champion` (None, or the current champion on the same test examples with `auc_difference_interval`); `latency` is
    what the registry measured.

    >>> test = {"examples": 200, "auc": 0.7, "auc_interval": {"low": 0.6, "high": 0.8}}
    >>> failed_gates({"train_examples": 900, "test": test, "champion": None}, Gates())
    ()
    """
    test = metrics["test"]
    failed = []
    if metrics["train_examples"] < gates.min_train:
        failed.append(f"{metrics['train_examples']} training examples; at least {gates.min_train} are needed")
    if test["examples"] < gates.min_test:
        failed.append(f"{test['examples']} test examples; at least {gates.min_test} are needed")
    interval = test["auc_interval"]
    if interval is None:
        failed.append("the test examples are too few or of one class, so AUC has no interval")
    elif interval["low"] <= 0.5:
        failed.append(f"AUC {test['auc']:.4f} may be chance: its interval starts at {interval['low']:.4f}")
    # A version registered before these were measured has neither.
    ece, nan_share = test.get("ece"), metrics.get("nan_share", 0.0)
    if ece is not None and ece > (most := gates.max_ece + _NOISE * chance_ece(test["examples"])):
        failed.append(f"calibration error {ece:.4f} on {test['examples']} test examples; at most {most:.4f}")
    if nan_share > 0:
        failed.append(f"{nan_share:.2%} of the figures of its heads are not finite")
    failed += _too_slow(metrics.get("latency") or {}, gates)
    champion = metrics["champion"]
    difference = champion and champion["auc_difference_interval"]
    if difference and difference["high"] < 0:
        failed.append(
            f"clearly worse than {champion['version']} on the same examples: "
            f"AUC differs by {difference['low']:+.4f} to {difference['high']:+.4f}"
        )
    return tuple(failed)


def _too_slow(latency: Mapping[str, float | None], gates: Gates) -> list[str]:
    """What is wrong with the time that a model takes; one that is fast enough may be slower than the champion."""
    took, champion = latency.get("ms_300"), latency.get("champion_ms_300")
    if took is None:
        return []
    if took > gates.max_ms:
        return [f"{took:.1f} ms for 300 candidates; at most {gates.max_ms:.0f} ms"]
    if champion and took > gates.max_ms / 5 and took > gates.max_slower * champion:
        return [f"{took:.1f} ms for 300 candidates, {took / champion:.1f} times the champion's {champion:.1f} ms"]
    return []


def chance_ece(examples: int) -> float:
    """Calibration error that perfect chances near one half show on so few examples.

    The mean absolute deviation of a share of m answers is sqrt(2 / pi) sqrt(p (1 - p) / m), with m = examples / bins.

    >>> round(chance_ece(900), 4), round(chance_ece(90_000), 4)
    (0.0595, 0.0059)
    """
    return math.sqrt(2.0 / math.pi * 0.25 * CALIBRATION_BINS / max(examples, 1))
