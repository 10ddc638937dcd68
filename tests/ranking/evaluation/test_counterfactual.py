"""Off-policy estimators: the vectors of a reference implementation, coverage of a known truth, and refusals."""

import numpy as np
import pytest

from ranking.evaluation import counterfactual
from ranking.evaluation.counterfactual import LoggedPicks, TooLittleSupportError, estimate

VECTORS = LoggedPicks(
    reward=np.array([1.0, 0, 1, 0, 1, 0]),
    action=np.array([0, 1, 2, 0, 1, 2]),
    propensity=np.array([0.5, 0.25, 0.25, 0.5, 0.25, 0.25]),
    policy=np.array([
        [0.2, 0.6, 0.2], [0.1, 0.7, 0.2], [0.3, 0.3, 0.4], [0.2, 0.2, 0.6], [0.1, 0.8, 0.1], [0.5, 0.25, 0.25],
    ]),
    predicted=np.array([
        [0.5, 0.4, 0.3], [0.6, 0.2, 0.3], [0.4, 0.4, 0.5], [0.3, 0.3, 0.2], [0.5, 0.7, 0.4], [0.2, 0.1, 0.3],
    ]),
)  # fmt: skip


def test_the_estimators_give_the_figures_of_the_reference_implementation():
    """The figures of obp 0.5.5 (open bandit pipeline), as exact fractions."""
    assert VECTORS.weights() == pytest.approx([0.4, 2.8, 1.6, 0.4, 3.2, 1.0], abs=1e-12)
    assert counterfactual.ips(VECTORS) == pytest.approx((0.4 + 1.6 + 3.2) / 6, abs=1e-9)
    assert counterfactual.ips(VECTORS, largest_weight=2.0) == pytest.approx((0.4 + 1.6 + 2.0) / 6, abs=1e-9)
    assert counterfactual.snips(VECTORS) == pytest.approx(5.2 / 9.4, abs=1e-9)
    assert counterfactual.direct(VECTORS) == pytest.approx(0.365, abs=1e-9)
    assert counterfactual.doubly_robust(VECTORS) == pytest.approx(0.365 + 0.98 / 6, abs=1e-9)
    assert counterfactual.self_normalised_doubly_robust(VECTORS) == pytest.approx(0.365 + 0.98 / 9.4, abs=1e-9)
    assert counterfactual.effective_sample_size(VECTORS.weights()) == pytest.approx(88.36 / 21.96, abs=1e-9)


@pytest.mark.parametrize(
    ("estimator", "published"),
    [
        (counterfactual.ips, 0.8666667),
        (lambda picks: counterfactual.ips(picks, largest_weight=2.0), 0.6666667),
        (counterfactual.snips, 0.5531915),
        (counterfactual.direct, 0.365),
        (counterfactual.doubly_robust, 0.5283333),
        (counterfactual.self_normalised_doubly_robust, 0.4692553),
        (lambda picks: counterfactual.effective_sample_size(picks.weights()), 4.0237),
    ],
)
def test_the_figures_agree_with_the_printed_digits(estimator, published):
    assert estimator(VECTORS) == pytest.approx(published, abs=6e-5 if published > 1 else 6e-8)


def test_six_rows_are_too_few_for_an_answer():
    with pytest.raises(TooLittleSupportError, match=r"6 rows are worth 4\.0 of the policy's own"):
        estimate(VECTORS, rng=np.random.default_rng(0))


def world(rng, n=4000, users=None):
    """Picks of a softmax policy among 8 actions with known rewards, and the true value of another policy."""
    context = rng.normal(size=(n, 3))
    taste = rng.normal(size=(3, 8))
    chance = 1 / (1 + np.exp(-(context @ taste - 1)))
    logged = _softmax(context @ rng.normal(size=(3, 8)) * 0.2)
    policy = _softmax(context @ taste * 0.3)
    action = (logged.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, 7)
    at = np.arange(n), action
    reward = (rng.random(n) < chance[at]).astype(float)
    predicted = np.clip(chance + rng.normal(0, 0.1, chance.shape), 0, 1)
    return LoggedPicks(reward, action, logged[at], policy, predicted), float((policy * chance).sum(axis=1).mean())


def _softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_intervals_of_every_estimator_cover_the_truth_about_as_often_as_they_say():
    covered = {"ips": 0, "snips": 0, "dr": 0, "sndr": 0}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        picks, truth = world(rng, n=2000)
        for name, each in estimate(picks, rng=rng, rounds=200).estimates.items():
            covered[name] += each.interval.low <= truth <= each.interval.high
    # 95 % of 60 is 57 with a deviation of 1.7; four deviations below are 50.
    assert all(count >= 50 for count in covered.values()), covered


def test_doubly_robust_is_narrower_than_ips_where_the_model_is_good():
    rng = np.random.default_rng(3)
    found = estimate(world(rng)[0], rng=rng).estimates
    width = {name: each.interval.high - each.interval.low for name, each in found.items()}
    assert width["dr"] < width["ips"]


def test_the_logged_policy_itself_is_worth_what_it_earned():
    rng = np.random.default_rng(4)
    reward, n = rng.random(500), 500
    picks = LoggedPicks(reward, rng.integers(0, 4, n), np.full(n, 0.25), np.full((n, 4), 0.25))
    value = estimate(picks, rng=rng)
    assert value.estimates["ips"].value == pytest.approx(reward.mean())
    assert value.estimates["snips"].value == pytest.approx(reward.mean())
    assert value.effective_sample_size == pytest.approx(500)
    assert set(value.estimates) == {"ips", "snips"}, "without a reward model there is no doubly robust estimate"


def test_users_are_drawn_together_so_their_interval_is_wider():
    rng = np.random.default_rng(5)
    users = np.repeat(np.arange(50), 40)
    reward = (rng.random(50)[users] > 0.5).astype(float)
    picks = LoggedPicks(reward, np.zeros(2000, int), np.full(2000, 0.5), np.tile([0.5, 0.5], (2000, 1)))
    by_row, by_user = (estimate(picks, rng=rng, users=each).estimates["ips"].interval for each in (None, users))
    assert by_user.high - by_user.low > 3 * (by_row.high - by_row.low)


def test_one_heavy_row_is_refused_however_many_others_there_are():
    propensity = np.full(5000, 0.5)
    propensity[7] = 1e-4
    picks = LoggedPicks(np.ones(5000), np.zeros(5000, int), propensity, np.tile([0.5, 0.5], (5000, 1)))
    with pytest.raises(TooLittleSupportError, match=r"heaviest carries 50\.0%"):
        estimate(picks, rng=np.random.default_rng(0))


def test_a_policy_that_never_agrees_has_no_value():
    picks = LoggedPicks(np.ones(9), np.zeros(9, int), np.full(9, 0.5), np.tile([0.0, 1.0], (9, 1)))
    with pytest.raises(TooLittleSupportError, match="never have done what was done"):
        counterfactual.snips(picks)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"propensity": np.array([0.5, 0, 0.2, 0.5, 0.2, 0.2])}, r"a propensity must lie in \(0, 1\], got 0"),
        ({"propensity": np.array([0.5, np.nan, 0.2, 0.5, 0.2, 0.2])}, "got nan"),
        ({"action": np.array([0, 1, 3, 0, 1, 2])}, r"actions must lie in \[0, 3\), got 0 to 3"),
        ({"policy": np.full((6, 3), 0.5)}, "add up to 1, got 1.5"),
        ({"reward": np.array([1.0, np.inf, 0, 0, 0, 0])}, "1 rewards are not finite"),
        ({"reward": np.ones(4)}, r"the policy has 6 rows, the logged columns \[4, 6\]"),
        ({"predicted": np.ones((6, 2))}, r"predicted rewards are \(6, 2\)"),
    ],
)
def test_what_cannot_be_a_log_is_refused_by_name(change, sentence):
    columns = {name: getattr(VECTORS, name) for name in ("reward", "action", "propensity", "policy", "predicted")}
    with pytest.raises(ValueError, match=sentence):
        LoggedPicks(**(columns | change))
