"""What a training shows for its model: every head on the test examples, beside a baseline and the current champion.

The figures are stored with the model version, so that the gates, the admin and a later reader see the same ones.
"""

import logging
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.extraction.definitions import NAMES
from ranking import registry
from ranking.evaluation import offline
from ranking.ranker.bundle import BundleError
from ranking.ranker.examples import Examples, FeatureMatrix
from ranking.ranker.heads import COLUMN, HEADS, PRIMARY
from ranking.ranker.reading import OUTPUTS, Reading
from ranking.ranker.training_set import FittedRanker, TrainingSet

logger = logging.getLogger(__name__)

BASELINE_FEATURE: Final = "content_long_rate_7d"
"""Ordering by what everybody watched: the least a personal model must beat."""
_BASELINE: Final = NAMES["content"].index(BASELINE_FEATURE)


def judge(ranker: FittedRanker, reading: Reading, test: TrainingSet, rows: Examples, *, seed: int) -> dict[str, Any]:
    """All that the gates, the admin and a later reader want to know of the test examples.

    Parameters
    ----------
    test, rows : the same examples, as the ranker and as the log know them
    seed : of the bootstrap

    Returns
    -------
    `test` (the long view), `heads` (each by name), `watch`, `nan_share`, `baseline`, `champion`
    """
    rng = np.random.default_rng(seed)
    told = reading.read(ranker.outputs(test.features), test.duration_s)
    heads = {head: _head(head, told, reading, test, rows, rng) for head in HEADS}
    primary = test.labels.of(PRIMARY).astype(np.int8)
    return {
        "test": heads[PRIMARY]["test"],
        "heads": heads,
        "watch": _watch(told, test),
        "nan_share": float(1.0 - np.isfinite(told).mean()),
        "baseline": {
            "feature": BASELINE_FEATURE,
            "auc": offline.auc(primary, test.features.content[:, _BASELINE].astype(np.float64)),
        },
        "champion": _beside_champion(primary, test.features, told[:, COLUMN[PRIMARY]], rows, rng),
    }


def _head(
    head: str, told: NDArray[np.float32], reading: Reading, test: TrainingSet, rows: Examples, rng: np.random.Generator
) -> dict[str, Any]:
    """One head where its answer is known; `test` is None where that is nowhere."""
    label = test.labels.of(head)
    known = ~np.isnan(label)
    metrics = None
    if known.any():
        metrics = offline.evaluate(
            label[known].astype(np.int8),
            told[known, COLUMN[head]].astype(np.float64),
            sessions=rows.session[known],
            users=rows.user[known].astype(np.int64),
            rng=rng,
        ).as_json()
    return {"learned": reading.learned(head), "test": metrics}


def _watch(told: NDArray[np.float32], test: TrainingSet) -> dict[str, Any]:
    """Seconds watched and expected; bias is expected over watched, None where nobody watched."""
    known = ~np.isnan(test.labels.watch_s)
    if not known.any():
        return {"examples": 0}
    watched = test.labels.watch_s[known].astype(np.float64)
    expected = told[known, OUTPUTS.index("watch_s")].astype(np.float64)
    return {
        "examples": int(known.sum()),
        "mean_s": float(watched.mean()),
        "bias": float(expected.mean() / watched.mean()) if watched.any() else None,
        "mae_s": float(np.abs(expected - watched).mean()),
    }


def _beside_champion(
    label: NDArray[np.int8],
    features: FeatureMatrix,
    chance: NDArray[np.float32],
    rows: Examples,
    rng: np.random.Generator,
) -> dict[str, Any] | None:
    """The current champion on the same test examples; None if there is none that can score them."""
    champion = registry.champion()
    if champion is None:
        return None
    try:
        theirs = champion.score_rows({"user": features.user, "content": features.content, "context": features.context})
    except (BundleError, ValueError) as error:
        logger.warning("the champion cannot be compared: %s", error)
        return None
    ours, theirs64 = chance.astype(np.float64), theirs.astype(np.float64)
    interval = offline.auc_difference_interval(label, ours, theirs64, rows.user.astype(np.int64), rng=rng)
    return {
        "version": champion.version,
        "auc": offline.auc(label, theirs64),
        "log_loss": offline.log_loss(label, theirs64),
        "auc_difference_interval": interval and asdict(interval),
    }
