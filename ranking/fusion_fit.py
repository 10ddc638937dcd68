"""The factors of the hybrid from one training: its held-out examples find them, its test examples must not object.

The signals are read off the features, which hold them as serving computes them at the request: cosine of the taste
vector, affinities, successor score, popularity, freshness.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.extraction.definitions import NAMES
from ranking.evaluation import offline
from ranking.pipeline.shelf import SESSION_LENGTH
from ranking.ranker.examples import FeatureMatrix
from ranking.ranker.heads import PRIMARY
from ranking.ranker.reading import Reading
from ranking.ranker.training_set import LEAST_ANSWERS, FittedRanker, TrainingSet
from ranking.ranker.value import SEGMENTS, Policy, segment_of
from ranking.rerank.fusion_weights import Floats, fit_factors, fused
from ranking.rerank.hybrid import FusionWeights, scaled, standardised

_JUDGED: Final = NAMES["user"].index("user_judged")
_POPULARITY: Final = NAMES["content"].index("content_popularity")
_CONTEXT: Final = {name: column for column, name in enumerate(NAMES["context"])}


@dataclass(frozen=True, slots=True)
class Fusion:
    """Factors to serve with, empty where the configured weights stay, and the evidence for it."""

    factors: dict[str, float]
    evidence: dict[str, Any] | None


def fit_fusion(
    ranker: FittedRanker, reading: Reading, held_out: TrainingSet, test: TrainingSet, *, policy: Policy
) -> Fusion:
    """Find factors on `held_out`, and keep them if the hybrid of `test` orders no worse with them than without."""
    label = held_out.labels.of(PRIMARY).astype(np.int8)
    if min(label.sum(), len(label) - label.sum()) < LEAST_ANSWERS:
        return Fusion({}, None)
    base = FusionWeights().with_model
    factors = fit_factors(
        standardised_value(ranker, reading, held_out, policy), signals_of(held_out.features), label, base=base
    )
    value, signals = standardised_value(ranker, reading, test, policy), signals_of(test.features)
    answers = test.labels.of(PRIMARY).astype(np.int8)
    before = offline.auc(answers, fused(value, signals, base))
    after = offline.auc(answers, fused(value, signals, scaled(base, factors)))
    better = before is not None and after is not None and after >= before
    evidence = {"factors": factors, "auc_before": before, "auc_after": after, "served": better}
    return Fusion(factors if better else {}, evidence)


def signals_of(features: FeatureMatrix) -> dict[str, Floats]:
    """The signals of the light ranker by the names of their weights, before any weight; float64 (n,) each."""
    judged = np.minimum(np.expm1(features.user[:, _JUDGED].astype(np.float64)), SESSION_LENGTH)
    evidence = judged / (judged + 2.0)

    def context(name: str) -> Floats:
        return features.context[:, _CONTEXT[name]].astype(np.float64)

    return {
        "taste": evidence * context("taste_cosine"),
        "category": evidence * context("category_affinity"),
        "creator": evidence * context("creator_affinity"),
        "sequential": standardised(context("sequential_score")),
        "popularity": standardised(features.content[:, _POPULARITY]),
        "freshness": context("content_freshness"),
    }


def standardised_value(ranker: FittedRanker, reading: Reading, examples: TrainingSet, policy: Policy) -> Floats:
    """Standardised value of each example for its user's segment."""
    heads = reading.read(ranker.outputs(examples.features), examples.duration_s)
    segment: NDArray[np.int64] = np.array([SEGMENTS.index(segment_of(row)) for row in examples.features.user])
    value = np.empty(len(heads))
    for number, name in enumerate(SEGMENTS):
        own = segment == number
        value[own] = policy.terms(heads[own], name).sum(axis=1)
    return standardised(value)
