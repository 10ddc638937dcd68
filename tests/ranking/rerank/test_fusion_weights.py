"""Factors find what tells beside the model, within a factor of two."""

import numpy as np
import pytest

from ranking.rerank.fusion_weights import fit_factors, fused
from ranking.rerank.hybrid import FusionWeights, scaled

BASE = FusionWeights(model=1.0, taste=1.0, category=1.0, creator=1.0)


def world(truth, n=20_000, seed=1):
    """Long views by a value and three signals with these weights."""
    rng = np.random.default_rng(seed)
    value = rng.normal(0, 1, n)
    signals = {name: rng.normal(0, 1, n) for name in ("taste", "category", "creator")}
    logit = -0.7 + 0.8 * (value + sum(truth[name] * signal for name, signal in signals.items()))
    return value, signals, (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(np.int8)


def test_factors_that_made_the_clicks_are_found():
    truth = {"taste": 1.6, "category": 1.0, "creator": 0.7}
    assert fit_factors(*world(truth), base=BASE) == pytest.approx(truth, rel=0.08)


def test_signal_that_tells_nothing_is_halved_and_not_switched_off():
    factors = fit_factors(*world({"taste": 0.0, "category": 9.0, "creator": 1.0}), base=BASE)
    assert (factors["taste"], factors["category"]) == pytest.approx((0.5, 2.0))


def test_few_examples_leave_the_weights_nearly_as_they_are():
    _, signals, label = world({"taste": 1.0, "category": 1.0, "creator": 1.0}, n=12)
    factors = fit_factors(np.zeros(12), {name: 0.01 * signal for name, signal in signals.items()}, label, base=BASE)
    assert list(factors.values()) == pytest.approx([1.0, 1.0, 1.0], abs=0.05)


def test_slope_of_the_loss_leads_to_better_order_on_other_examples():
    truth = {"taste": 2.0, "category": 0.5, "creator": 1.0}
    factors = fit_factors(*world(truth), base=BASE)
    value, signals, label = world(truth, seed=2)

    def order(weights):
        score = fused(value, signals, weights)
        return score[label == 1].mean() / score.std() - score[label == 0].mean() / score.std()

    assert order(scaled(BASE, factors)) > order(BASE)


def test_one_answer_only_is_refused():
    with pytest.raises(ValueError, match="got 0 of 5 positive"):
        fit_factors(np.zeros(5), {"taste": np.zeros(5)}, np.zeros(5, np.int8), base=BASE)
