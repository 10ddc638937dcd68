"""Beliefs that are updated one event at a time are the ones that all events together give."""

import numpy as np
import pytest
from scipy import stats

from ranking.rerank.posteriors import BayesianLinear, BetaPosteriors, LinearPosterior

ROWS = np.arange(3)


def test_five_hundred_updates_are_one_ridge_regression():
    rng = np.random.default_rng(5)
    model = BayesianLinear(12, ridge=2.5)
    features, outcomes = rng.normal(size=(500, 12)), rng.normal(size=500)
    for x, y in zip(features, outcomes, strict=True):
        model.observe(x, float(y))
    precision = 2.5 * np.eye(12) + features.T @ features
    np.testing.assert_allclose(model.mean, np.linalg.solve(precision, features.T @ outcomes), rtol=1e-8)
    np.testing.assert_allclose(model.inverse, np.linalg.inv(precision), rtol=1e-8, atol=1e-14)


def test_drawn_weights_have_the_posterior_as_their_distribution():
    rng = np.random.default_rng(6)
    model = BayesianLinear(3, noise=0.7)
    for _ in range(4):
        model.observe(rng.normal(size=3), 1.0)
    drawn = model.draw_weights(rng, 200_000)
    np.testing.assert_allclose(drawn.mean(axis=0), model.mean, atol=0.01)
    np.testing.assert_allclose(np.cov(drawn.T), 0.49 * model.inverse, atol=0.005)


def test_a_linear_posterior_draws_predictions():
    model = BayesianLinear(2)
    for _ in range(2_000):
        model.observe(np.array([1.0, 0.0]), 3.0)
    features = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
    drawn = LinearPosterior(model, lambda rows: features[rows], scale=0.5).draw(np.random.default_rng(1), ROWS, 5_000)
    assert drawn.shape == (5_000, 3)
    np.testing.assert_allclose(drawn.mean(axis=0), [1.5, 0.0, 3.0], atol=0.05)
    assert drawn[:, 1].std() > 10 * drawn[:, 0].std()
    spread = LinearPosterior(model, lambda rows: features[rows], scale=0.5).spread(ROWS)
    np.testing.assert_allclose(drawn.std(axis=0), spread, rtol=0.05)


def test_rates_are_drawn_from_their_beta():
    posterior = BetaPosteriors(np.array([0.0, 3.0, 90.0]), np.array([0.0, 10.0, 100.0]), 0.3, strength=4.0, scale=2.0)
    drawn = posterior.draw(np.random.default_rng(2), ROWS, 20_000)
    np.testing.assert_allclose(drawn.mean(axis=0), 0.0, atol=0.02)
    np.testing.assert_allclose(drawn.std(axis=0), posterior.spread(ROWS), rtol=0.02)
    rates = drawn / 2.0 + posterior.mean(ROWS)
    for row, (a, b) in enumerate([(1.2, 2.8), (4.2, 9.8), (91.2, 12.8)]):
        assert stats.kstest(rates[:, row], stats.beta(a, b).cdf).pvalue > 1e-3


def test_every_outcome_counts_once():
    posterior = BetaPosteriors(np.zeros(3), np.zeros(3), 0.5)
    posterior.observe(np.array([1, 1, 2]), np.array([1.0, 0.0, 1.0]))
    assert posterior.trials.tolist() == [0.0, 2.0, 1.0]
    assert posterior.successes.tolist() == [0.0, 1.0, 1.0]
    assert posterior.mean(ROWS).tolist() == [0.5, 0.5, 0.6]


def test_nothing_to_draw_for_is_no_error():
    none = np.empty(0, np.int64)
    assert BetaPosteriors(np.zeros(3), np.zeros(3), 0.5).draw(np.random.default_rng(1), none, 4).shape == (4, 0)


@pytest.mark.parametrize("bad", [{"prior": 0.0}, {"prior": 1.0}, {"prior": 0.5, "strength": 0.0}])
def test_impossible_priors_are_refused(bad):
    with pytest.raises(ValueError, match=list(bad)[-1]):
        BetaPosteriors(np.zeros(1), np.zeros(1), **bad)


@pytest.mark.parametrize("bad", [{"ridge": 0.0}, {"noise": -1.0}])
def test_impossible_regressions_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        BayesianLinear(3, **bad)
