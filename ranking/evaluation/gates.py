"""The gates a trained model must pass before it may serve, as one pure function over its recorded metrics.

A gate that fails is a sentence for a person. The metrics are stored with the model version, so the same gates give the
same answer at any later promotion.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Gates:
    """What a model must show. Stored with the model version as part of its training config.

    Attributes
    ----------
    min_train, min_test : examples on either side of the cut; fewer and the figures below mean nothing
    """

    min_train: int = 500
    min_test: int = 100


def failed_gates(metrics: Mapping[str, Any], gates: Gates) -> tuple[str, ...]:
    """One sentence for each gate that does not hold; empty means the model may serve.

    The metrics are those of `training.train`: `train_examples`, `test` (an `OfflineMetrics` as JSON) and
    `champion` (None, or the current champion on the same test examples with `auc_difference_interval`).

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
    champion = metrics["champion"]
    difference = champion and champion["auc_difference_interval"]
    if difference and difference["high"] < 0:
        failed.append(
            f"clearly worse than {champion['version']} on the same examples: "
            f"AUC differs by {difference['low']:+.4f} to {difference['high']:+.4f}"
        )
    return tuple(failed)
