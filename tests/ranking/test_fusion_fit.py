"""Factors of the hybrid come from held-out exposures, and serve only where the test does not object."""

from dataclasses import dataclass

import numpy as np
import pytest

from features.extraction.definitions import CONTENT_DIM, CONTEXT_DIM, NAMES, USER_DIM
from ranking.fusion_fit import fit_fusion, signals_of
from ranking.ranker.examples import FeatureMatrix
from ranking.ranker.platt import sigmoid
from ranking.ranker.reading import Reading
from ranking.ranker.value import Policy
from tests.ranking.ranker.sets import long_views

AFFINITY = NAMES["context"].index("category_affinity")
JUDGED = NAMES["user"].index("user_judged")
DEFAULT = Policy.default()


@dataclass(frozen=True)
class Plain:
    """A ranker that reads the chance of a long view off one feature."""

    columns: tuple = ("long_view",)
    scale: None = None
    gives: str = "probability"

    def outputs(self, rows):
        return sigmoid(rows.content[:, [0]].astype(np.float64)).astype(np.float32)


def world(n, *, worth, seed=1):
    """Long views by the model's feature and, with this weight, by the category's affinity; 18 judged clips each."""
    rng = np.random.default_rng(seed)
    features = FeatureMatrix(*(np.zeros((n, width), np.float32) for width in (USER_DIM, CONTENT_DIM, CONTEXT_DIM)))
    features.user[:, JUDGED] = np.log1p(18.0)
    features.content[:, 0] = rng.normal(0, 1, n)
    features.context[:, AFFINITY] = rng.normal(0, 0.5, n)
    logit = features.content[:, 0] + worth * features.context[:, AFFINITY]
    return long_views(features, (rng.random(n) < sigmoid(logit.astype(np.float64))).astype(np.float32))


def test_signals_are_those_of_the_light_ranker():
    told = signals_of(world(50, worth=0.0).features)
    assert set(told) == {"taste", "category", "creator", "sequential", "popularity", "freshness"}
    affinity = world(50, worth=0.0).features.context[:, AFFINITY]
    np.testing.assert_allclose(told["category"], 18.0 / 20.0 * affinity, rtol=1e-4)


def test_signal_that_tells_more_than_it_weighs_gets_a_factor_and_serves():
    fusion = fit_fusion(
        Plain(), Reading.of_long_view(), world(6_000, worth=9.0), world(3_000, worth=9.0, seed=2), policy=DEFAULT
    )
    assert fusion.factors["category"] == pytest.approx(2.0, abs=0.05)
    assert fusion.evidence["auc_after"] > fusion.evidence["auc_before"]
    assert fusion.evidence["served"]


def test_factors_that_order_the_test_worse_do_not_serve():
    fusion = fit_fusion(
        Plain(), Reading.of_long_view(), world(6_000, worth=9.0), world(3_000, worth=-9.0, seed=2), policy=DEFAULT
    )
    assert fusion.factors == {}
    assert not fusion.evidence["served"]
    assert fusion.evidence["auc_after"] < fusion.evidence["auc_before"]


def test_few_answers_leave_the_configured_weights():
    few = world(40, worth=1.0)
    assert fit_fusion(Plain(), Reading.of_long_view(), few, few, policy=DEFAULT).evidence is None
