"""What a person wants to see of a trained model before letting it serve, beyond the figures the gates go by.

Calibration and lift of the long view, the same figures by segment of users, surface and length of the clip, which
features it leans on, what it was trained on, and what drift is measured from later. Everything is of the test examples,
and stored with the version.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.extraction.definitions import NAMES
from ranking.evaluation import offline
from ranking.evaluation.curves import calibration_curve, lift_curve
from ranking.evaluation.drift import Reference
from ranking.ranker.examples import Examples, FeatureMatrix
from ranking.ranker.heads import COLUMN, HEADS, PRIMARY
from ranking.ranker.reading import Reading
from ranking.ranker.training_set import FittedRanker, TrainingSet
from ranking.ranker.value import SEGMENTS, segment_of

IMPORTANCE_ROWS: Final = 2_000
IMPORTANCE_SHOWN: Final = 25
_AT_ONCE: Final = 8
"""Features permuted in one call of the ranker: a call costs more than its rows."""
LEAST_OF_SEGMENT: Final = 30
LENGTHS: Final = (("under 10 s", 0.0, 10.0), ("10 to 30 s", 10.0, 30.0), ("30 s and more", 30.0, np.inf))

Chances = NDArray[np.float64]


def describe(
    ranker: FittedRanker, reading: Reading, learned_from: TrainingSet, test: TrainingSet, rows: Examples, *, seed: int
) -> dict[str, Any]:
    """`curves`, `segments`, `importance`, `trained_on` and `drift`, as JSON.

    Parameters
    ----------
    learned_from : what the ranker was fitted on
    test, rows : the same examples, as the ranker and as the log know them
    seed : of the permutations
    """

    def chances(features: FeatureMatrix, duration_s: NDArray[np.float32]) -> Chances:
        return reading.read(ranker.outputs(features), duration_s)[:, COLUMN[PRIMARY]].astype(np.float64)

    label, told = test.labels.of(PRIMARY).astype(np.int8), chances(test.features, test.duration_s)
    return {
        "curves": {
            "calibration": [asdict(point) for point in calibration_curve(label, told)],
            "lift": [asdict(point) for point in lift_curve(label, told)],
        },
        "segments": [_segment(kind, name, label[at], told[at]) for kind, name, at in _segments(test, rows)],
        "importance": importance(chances, label, test, rng=np.random.default_rng(seed)),
        "trained_on": _trained_on(learned_from, test, rows),
        "drift": reference(learned_from.features, told),
    }


def reference(features: FeatureMatrix, told: Chances) -> dict[str, Any]:
    """What drift is measured from: the features that were learned from, and what the ranker says of the test."""
    columns = {
        name: asdict(Reference.of(getattr(features, block)[:, at]))
        for block, names in NAMES.items()
        for at, name in enumerate(names)
    }
    return {"score": asdict(Reference.of(told)), "features": columns}


def importance(
    chances: Callable[[FeatureMatrix, NDArray[np.float32]], Chances],
    label: NDArray[np.int8],
    test: TrainingSet,
    *,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """How much AUC is lost when the values of one feature are dealt out anew among the examples, most first.

    Breiman's permutation importance (2001). Of features that say the same each seems to matter little.
    """
    chosen = np.sort(rng.permutation(len(test))[:IMPORTANCE_ROWS])
    features, duration_s, answers = test.features.rows(chosen), test.duration_s[chosen], label[chosen]
    whole = offline.auc(answers, chances(features, duration_s))
    if whole is None:
        return []
    names = [(block, column) for block in NAMES for column in range(len(NAMES[block]))]
    found: list[dict[str, Any]] = []
    for first in range(0, len(names), _AT_ONCE):
        part = names[first : first + _AT_ONCE]
        mixed = {block: np.concatenate([getattr(features, block)] * len(part)) for block in NAMES}
        for at, (block, column) in enumerate(part):
            rows = slice(at * len(chosen), (at + 1) * len(chosen))
            mixed[block][rows, column] = rng.permutation(mixed[block][rows, column])
        told = chances(FeatureMatrix(**mixed), np.tile(duration_s, len(part))).reshape(len(part), -1)
        for (block, column), each in zip(part, told, strict=True):
            lost = whole - (offline.auc(answers, each) or 0.5)
            found.append({"feature": NAMES[block][column], "block": block, "auc_lost": round(float(lost), 5)})
    return sorted(found, key=lambda row: -row["auc_lost"])[:IMPORTANCE_SHOWN]


def _segments(test: TrainingSet, rows: Examples) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Kinds and names of segments, and which examples they hold; each kind divides all examples."""
    users = np.array([segment_of(row) for row in test.features.user], object)
    for segment in SEGMENTS:
        yield "users", segment, users == segment
    for surface in sorted(set(rows.surface.tolist())):
        yield "surface", surface or "not stated", rows.surface == surface
    for length, low, high in LENGTHS:
        yield "length", length, (test.duration_s >= low) & (test.duration_s < high)


def _segment(kind: str, name: str, label: NDArray[np.int8], told: Chances) -> dict[str, Any]:
    """The figures of one segment; None where it holds too few examples to say."""
    enough = len(label) >= LEAST_OF_SEGMENT
    return {
        "kind": kind,
        "name": name,
        "examples": len(label),
        "positives": int(label.sum()),
        "auc": offline.auc(label, told) if enough else None,
        "log_loss": offline.log_loss(label, told) if enough else None,
        "ece": offline.ece(label, told) if enough else None,
    }


def _trained_on(learned_from: TrainingSet, test: TrainingSet, rows: Examples) -> dict[str, Any]:
    positives = {
        head: int((learned_from.labels.of(head) == 1).sum()) for head in HEADS
    }  # fmt: skip
    return {
        "examples": len(learned_from),
        "positives": positives,
        "test_examples": len(test),
        "test_users": len(np.unique(rows.user)),
        "test_contents": len(np.unique(rows.content)),
        "test_from": float(rows.timestamp.min()) if len(rows) else None,
        "test_until": float(rows.timestamp.max()) if len(rows) else None,
    }
