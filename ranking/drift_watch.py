"""How far what is served at this moment has moved from what the champion was trained on.

Read from the log of served pages, which holds the features that the ranker saw; the scores are the champion's own for
them. Each measure is kept, so that the cadence of training and the page of the model go by the same one.
"""

from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.extraction.definitions import FEATURE_SET, NAMES
from ranking.evaluation.cadence import Cadence, cadence
from ranking.evaluation.drift import MOVED, Reference
from ranking.models import ModelDrift, ModelVersion, Served
from ranking.ranker.bundle import BundleError
from ranking.serving_models import champion

LOOKS_AT: Final = 2_000
"""Newest served positions."""
LEAST: Final = 500
"""Fewer positions than this say nothing."""
KEPT_FOR: Final = timedelta(days=30)
WORST_SHOWN: Final = 10


def measure(*, now: datetime) -> ModelDrift | None:
    """Compare the newest served positions with the champion's training; None where that cannot be said."""
    serving = champion()
    row = None if serving is None else ModelVersion.objects.filter(version=serving.version).first()
    told = {} if row is None else row.metrics.get("drift") or {}
    if serving is None or row is None or not told or row.feature_set != FEATURE_SET:
        return None
    matrix = _newest()
    if len(matrix) < LEAST:
        return None
    cuts = np.cumsum([len(NAMES[block]) for block in ("user", "content")]).tolist()
    blocks = dict(zip(("user", "content", "context"), np.split(matrix, cuts, axis=1), strict=True))
    try:
        scores = serving.score_rows({name: np.ascontiguousarray(block) for name, block in blocks.items()})
    except BundleError:
        return None
    moved = _of_features(blocks, told["features"])
    drift = ModelDrift.objects.create(
        version=serving.version,
        measured_at=now,
        positions=len(matrix),
        score_psi=Reference.from_json(told["score"]).psi(scores),
        moved_share=float(np.mean([psi > MOVED for psi in moved.values()])) if moved else 0.0,
        worst=[[name, round(psi, 4)] for name, psi in sorted(moved.items(), key=lambda each: -each[1])[:WORST_SHOWN]],
    )
    ModelDrift.objects.filter(measured_at__lt=now - KEPT_FOR).delete()
    return drift


def newest(version: str) -> ModelDrift | None:
    """The last measure of a version; served by the index drift_of_version."""
    return ModelDrift.objects.filter(version=version).order_by("-measured_at").first()


def pace(version: str) -> Cadence:
    """How soon what a version learned has to be learned anew."""
    drift = newest(version)
    return cadence(0.0, 0.0) if drift is None else cadence(drift.score_psi, drift.moved_share)


def _newest() -> NDArray[np.float32]:
    """Features of the newest served positions, by the primary key, which follows the time."""
    rows = Served.objects.order_by("-id").values_list("features", "feature_set")[:LOOKS_AT]
    found = [np.frombuffer(features, "<f4") for features, made_with in rows if made_with == FEATURE_SET]
    return np.stack(found) if found else np.empty((0, sum(map(len, NAMES.values()))), np.float32)


def _of_features(blocks: dict[str, NDArray[np.float32]], told: dict[str, Any]) -> dict[str, float]:
    """The index of every feature that was measured in training."""
    return {
        name: Reference.from_json(told[name]).psi(blocks[block][:, at])
        for block, names in NAMES.items()
        for at, name in enumerate(names)
        if name in told
    }
