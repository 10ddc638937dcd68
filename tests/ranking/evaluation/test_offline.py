"""Offline metrics against hand arithmetic left unreduced, and intervals against simulation."""

import numpy as np
import pytest

from ranking.evaluation import offline


def labels(*values):
    return np.array(values, np.int8)


def scores(*values):
    return np.array(values, float)


def test_auc_counts_ordered_pairs_and_half_of_the_ties():
    # positives .8 .4 .4, negatives .4 .1: pairs won 1+1 (.8), .5+1 and .5+1 (both .4)
    value = offline.auc(labels(1, 1, 0, 1, 0), scores(0.8, 0.4, 0.4, 0.4, 0.1))
    assert value == pytest.approx((1 + 1 + 0.5 + 1 + 0.5 + 1) / (3 * 2))


def test_auc_of_one_class_is_unknown():
    assert offline.auc(labels(1, 1), scores(0.1, 0.2)) is None
    assert offline.auc(labels(), scores()) is None


def test_auc_refuses_lengths_that_differ():
    with pytest.raises(ValueError, match="2 labels do not match 1 scores"):
        offline.auc(labels(1, 0), scores(0.5))


def test_gauc_weighs_sessions_by_their_length_and_skips_those_of_one_class():
    # session 7: AUC 1 over 2 rows; session 3: pair (.5, .2) won, (.5, .9) lost, over 3 rows; session 5: no positive
    value = offline.gauc(
        labels(1, 0, 1, 0, 0, 0, 0), scores(0.9, 0.1, 0.5, 0.2, 0.9, 0.3, 0.4), np.array([7, 7, 3, 3, 3, 5, 5])
    )
    assert value == pytest.approx((2 * 1 + 3 * (1 / 2)) / (2 + 3))


def test_gauc_ignores_what_only_tells_sessions_apart():
    rng = np.random.default_rng(0)
    session = np.repeat(np.arange(200), 10)
    tendency = rng.random(200)[session]
    label = (rng.random(2000) < tendency).astype(np.int8)
    assert offline.auc(label, tendency) > 0.7
    assert offline.gauc(label, tendency, session) == pytest.approx(0.5)


def test_gauc_equals_auc_per_session_by_a_plain_loop():
    rng = np.random.default_rng(1)
    session = rng.integers(0, 40, 500)
    label = rng.integers(0, 2, 500).astype(np.int8)
    score = rng.integers(0, 6, 500) / 6
    parts = [(offline.auc(label[session == s], score[session == s]), (session == s).sum()) for s in np.unique(session)]
    judged = [(value, weight) for value, weight in parts if value is not None]
    expected = sum(value * weight for value, weight in judged) / sum(weight for _, weight in judged)
    assert offline.gauc(label, score, session) == pytest.approx(expected)


def test_gauc_without_a_mixed_session_is_unknown():
    assert offline.gauc(labels(1, 0), scores(0.1, 0.2), np.array([0, 1])) is None
    assert offline.gauc(labels(), scores(), np.array([], int)) is None


def test_log_loss_is_the_mean_of_the_negative_logs():
    value = offline.log_loss(labels(1, 0, 1), scores(0.8, 0.4, 0.5))
    assert value == pytest.approx(-(np.log(0.8) + np.log(0.6) + np.log(0.5)) / 3)


def test_log_loss_of_a_certain_error_stays_finite():
    assert offline.log_loss(labels(1), scores(0.0)) == pytest.approx(-np.log(1e-7))


def test_ece_weighs_each_bin_by_its_mass():
    # sorted by probability: bins {.1, .2}, {.6}, {.9} (array_split gives the first bin the rest)
    value = offline.ece(labels(1, 0, 0, 1), scores(0.1, 0.2, 0.6, 0.9), bins=3)
    assert value == pytest.approx(2 / 4 * abs(0.15 - 0.5) + 1 / 4 * abs(0.6 - 0) + 1 / 4 * abs(0.9 - 1))


@pytest.mark.parametrize("metric", [offline.log_loss, offline.ece])
def test_no_examples_are_refused(metric):
    with pytest.raises(ValueError, match="at least one example"):
        metric(labels(), scores())


def test_auc_interval_covers_the_true_auc_about_as_often_as_it_says():
    # Scores of positives are N(1, 1), of negatives N(0, 1): the true AUC is Phi(1 / sqrt 2) = 0.7602.
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(100):
        label = rng.integers(0, 2, 400).astype(np.int8)
        score = rng.normal(label, 1.0)
        interval = offline.auc_interval(label, score, np.arange(400), rng=rng, rounds=100)
        covered += interval.low <= 0.7602 <= interval.high
    assert 85 <= covered <= 100


def test_interval_is_wider_when_rows_are_copies_of_few_users():
    rng = np.random.default_rng(3)
    label, user = np.tile(rng.integers(0, 2, 50), 20).astype(np.int8), np.tile(np.arange(50), 20)
    score = np.tile(rng.normal(size=50), 20)
    by_user = offline.auc_interval(label, score, user, rng=rng)
    by_row = offline.auc_interval(label, score, np.arange(1000), rng=rng)
    assert by_user.high - by_user.low > 2 * (by_row.high - by_row.low)


def test_difference_interval_sees_a_better_model_and_not_an_equal_one():
    rng = np.random.default_rng(4)
    label = rng.integers(0, 2, 2000).astype(np.int8)
    good, poor = rng.normal(2 * label, 1.0), rng.normal(0.2 * label, 1.0)
    better = offline.auc_difference_interval(label, good, poor, np.arange(2000), rng=rng)
    same = offline.auc_difference_interval(label, good, good, np.arange(2000), rng=rng)
    assert better.low > 0.2
    assert (same.low, same.high) == (0, 0)


def test_interval_of_one_cluster_or_one_class_is_unknown():
    rng = np.random.default_rng(5)
    assert offline.auc_interval(labels(1, 0), scores(0.2, 0.1), np.array([4, 4]), rng=rng) is None
    assert offline.auc_interval(labels(1, 1), scores(0.2, 0.1), np.array([4, 5]), rng=rng) is None


def test_evaluate_is_plain_json():
    metrics = offline.evaluate(
        labels(1, 0, 1, 0), scores(0.9, 0.2, 0.6, 0.4), sessions=np.array([0, 0, 1, 1]), users=np.array([0, 0, 1, 1]),
        rng=np.random.default_rng(0),
    ).as_json()  # fmt: skip
    assert metrics["auc"] == 1.0
    assert metrics["auc_interval"] == {"low": 1.0, "high": 1.0}
    assert metrics["examples"] == 4
    assert metrics["positives"] == 2
