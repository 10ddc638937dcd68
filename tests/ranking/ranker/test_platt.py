"""Two numbers make chances of logits."""

import numpy as np
import pytest

from ranking.evaluation.offline import ece
from ranking.ranker.platt import fit_line, shift_to, sigmoid


def test_line_that_made_the_labels_is_found():
    rng = np.random.default_rng(1)
    logit = rng.normal(0, 2, 60_000)
    label = (rng.random(len(logit)) < sigmoid(0.6 * logit - 1.5)).astype(np.float32)
    slope, intercept = fit_line(logit, label)
    assert (slope, intercept) == pytest.approx((0.6, -1.5), abs=0.04)
    assert ece(label.astype(np.int8), sigmoid(slope * logit + intercept)) < 0.01


def test_line_is_at_the_bottom_of_the_loss():
    rng = np.random.default_rng(2)
    logit = rng.normal(3, 4, 500)
    label = (rng.random(500) < sigmoid(logit - 3)).astype(np.float32)
    slope, intercept = fit_line(logit, label)

    def loss(a, b):
        target = np.where(label == 1, (label.sum() + 1) / (label.sum() + 2), 1 / (500 - label.sum() + 2))
        z = a * logit + b
        return (np.logaddexp(0, z) - target * z).sum()

    for off in (1e-3, -1e-3):
        assert loss(slope, intercept) <= loss(slope + off, intercept)
        assert loss(slope, intercept) <= loss(slope, intercept + off)


def test_separable_examples_give_a_finite_rising_line():
    slope, intercept = fit_line(np.array([-5.0, -4.0, 4.0, 5.0]), np.array([0, 0, 1, 1], np.float32))
    assert np.isfinite([slope, intercept]).all()
    assert slope > 0


def test_backward_logits_give_a_falling_line_and_equal_ones_the_rate():
    rng = np.random.default_rng(3)
    logit = rng.normal(0, 1, 4_000)
    label = (rng.random(4_000) < sigmoid(-logit)).astype(np.float32)
    assert fit_line(logit, label)[0] < -0.5
    slope, intercept = fit_line(np.ones(4_000), label)
    assert sigmoid(np.array([slope + intercept]))[0] == pytest.approx(label.mean(), abs=1e-3)


def test_one_answer_only_is_refused():
    with pytest.raises(ValueError, match="got 0 of 3 positive"):
        fit_line(np.zeros(3), np.zeros(3, np.float32))


def test_shift_meets_the_mean():
    logit = np.random.default_rng(4).normal(-2, 3, 1_000)
    assert sigmoid(logit + shift_to(logit, 0.031)).mean() == pytest.approx(0.031, abs=1e-9)
