"""Watch-time metrics against plain loops and hand arithmetic."""

import numpy as np
import pytest

from ranking.evaluation import watch_time


def plain_xauc(watched, predicted):
    won, pairs = 0.0, 0
    for i in range(len(watched)):
        for j in range(i):
            if watched[i] != watched[j]:
                pairs += 1
                order = (watched[i] - watched[j]) * (predicted[i] - predicted[j])
                won += 1.0 if order > 0 else 0.5 if order == 0 else 0.0
    return won / pairs


def test_xauc_is_the_share_of_pairs_a_plain_loop_counts():
    rng = np.random.default_rng(0)
    for levels in (3, 10, 1000):
        watched, predicted = rng.integers(0, levels, 80) / 7, rng.integers(0, levels, 80) / 3
        assert watch_time.xauc(watched, predicted) == pytest.approx(plain_xauc(watched, predicted))


def test_xauc_of_a_constant_is_a_half_and_of_equal_times_unknown():
    assert watch_time.xauc(np.array([1.0, 2.0, 4.0]), np.full(3, 9.0)) == 0.5
    assert watch_time.xauc(np.full(3, 9.0), np.array([1.0, 2.0, 4.0])) is None
    assert watch_time.xauc(np.array([1.0]), np.array([1.0])) is None


def test_xauc_refuses_lengths_that_differ():
    with pytest.raises(ValueError, match="2 watch times do not match 1 predictions"):
        watch_time.xauc(np.ones(2), np.ones(1))


def test_within_groups_what_only_tells_groups_apart_is_worth_nothing():
    rng = np.random.default_rng(1)
    duration_s = np.repeat([10.0, 20.0, 40.0, 80.0], 50)
    watched_s = duration_s * rng.random(200)
    found = watch_time.evaluate(watched_s, duration_s, duration_s)
    assert found.xauc > 0.6
    assert found.xauc_by_duration == pytest.approx(0.5)


def test_error_and_bias_are_those_written_out():
    found = watch_time.evaluate(np.array([10.0, 0.0, 20.0]), np.array([12.0, 3.0, 15.0]), np.full(3, 30.0))
    assert found.mae_s == pytest.approx((2 + 3 + 5) / 3)
    assert found.rmse_s == pytest.approx(np.sqrt((4 + 9 + 25) / 3))
    assert found.bias == pytest.approx((12 + 3 + 15) / (10 + 0 + 20))
    assert watch_time.evaluate(np.zeros(3), np.ones(3), np.ones(3)).bias is None


def test_a_median_head_wins_by_error_and_is_told_by_its_bias():
    watched = np.random.default_rng(2).exponential(20.0, 5000)
    median, mean = (watch_time.evaluate(watched, np.full(5000, value), watched) for value in (13.9, 20.0))
    assert median.mae_s < mean.mae_s
    assert median.bias < 0.75 < mean.bias


def test_no_examples_are_refused():
    with pytest.raises(ValueError, match="at least one example"):
        watch_time.evaluate(np.empty(0), np.empty(0), np.empty(0))
    assert len(watch_time.duration_groups(np.empty(0))) == 0
