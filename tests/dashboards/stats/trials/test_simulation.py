"""The statistics by simulation: how often they are wrong without an effect, and how often they find a planted one."""

import numpy as np
import pytest

from dashboards.stats.trials import power
from dashboards.stats.trials.guardrails import Harm, judge
from dashboards.stats.trials.moments import Sums, adjusted, mean_of, ratio_of, theta_of
from dashboards.stats.trials.sequential import half_width, watch
from dashboards.stats.trials.significance import compare
from dashboards.stats.trials.split_check import check_segments, check_split

RUNS, LOOKS, PER_LOOK = 1_000, 20, 250
Z = 1.959963984540054


def cumulated(values):
    """Mean and variance of each run at each look, from users (runs, looks, users per look)."""
    n = np.arange(1, LOOKS + 1) * PER_LOOK
    total, squares = values.sum(axis=2).cumsum(axis=1), (values**2).sum(axis=2).cumsum(axis=1)
    return total / n, (squares - total**2 / n) / (n - 1), n


def looks(rng, lift=0.0, runs=RUNS):
    """z of each run at each look: watched minutes, skewed as they are."""
    mean_a, var_a, n = cumulated(rng.exponential(10.0, (runs, LOOKS, PER_LOOK)))
    mean_b, var_b, _ = cumulated(rng.exponential(10.0 * (1.0 + lift), (runs, LOOKS, PER_LOOK)))
    return (mean_b - mean_a) / np.sqrt(var_a / n + var_b / n), n


def bounds(n, alpha=0.05, tuned_for=5000):
    return np.array([half_width(1.0, 2 * users, alpha, tuned_for) for users in n.tolist()])


def test_a_thousand_runs_without_effect_and_twenty_looks_find_hardly_any():
    z, n = looks(np.random.default_rng(9))
    ever_fixed = (np.abs(z) > Z).any(axis=1).mean()
    ever_sequential = (np.abs(z) > bounds(n)).any(axis=1).mean()
    assert ever_fixed > 0.15  # what happens to those who look every day without it
    assert ever_sequential <= 0.05


def test_the_simulated_bound_is_that_of_the_engine():
    rng = np.random.default_rng(3)
    a, b = rng.exponential(10.0, 700), rng.exponential(11.0, 700)
    effect = watch(mean_of(Sums.of(a)), mean_of(Sums.of(b)), relative=False)
    assert effect.upper - effect.estimate == pytest.approx(half_width(effect.se, 1400, 0.05, 5000))


def test_planted_lifts_are_found_with_the_planned_power():
    """The plan says how much can be found by the last look; looking before only adds to it."""
    last = LOOKS * PER_LOOK
    lift = power.detectable_any_time(last, 10.0) / 10.0
    z, n = looks(np.random.default_rng(5), lift=lift)
    found = (z > bounds(n)).any(axis=1).mean()
    # A thousand runs know a chance of 0.8 to 0.025.
    assert found >= 0.8 - 0.025
    assert found < 0.97


def test_one_look_finds_what_one_look_is_planned_for():
    n = round(power.users_per_arm(0.2))
    rng = np.random.default_rng(6)
    a, b = rng.normal(0.0, 1.0, (600, n)), rng.normal(0.2, 1.0, (600, n))
    found = [
        compare(mean_of(Sums.of(x)), mean_of(Sums.of(y)), relative=False).p_value < 0.05
        for x, y in zip(a, b, strict=True)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)


def test_a_planted_mismatch_is_caught_and_a_fair_split_is_not():
    rng = np.random.default_rng(7)
    off = rng.binomial(20_000, 0.485, 500)
    fair = rng.binomial(20_000, 0.5, 500)
    assert np.mean([check_split([k, 20_000 - k], [1, 1]).blocks for k in off]) > 0.8
    assert np.mean([check_split([k, 20_000 - k], [1, 1]).blocks for k in fair]) <= 0.01


def test_a_mismatch_within_one_platform_is_found_where_the_whole_is_fair():
    found = check_segments({"ios": [5600, 5000], "android": [5000, 5600], "web": [700, 690]}, [1, 1])
    assert sorted(found) == ["android", "ios"]
    assert not check_split([11_300, 11_290], [1, 1]).blocks


def test_cuped_is_unbiased_and_never_less_sure():
    rng = np.random.default_rng(8)
    plain, better, spread_plain, spread_better = [], [], [], []
    for _ in range(300):
        before = rng.gamma(2.0, 5.0, (2, 400))
        after = before + rng.normal(0.0, 4.0, (2, 400)) + np.array([[0.0], [1.0]])
        arms = [Sums.of(y, x) for y, x in zip(after, before, strict=True)]
        told = [mean_of(each) for each in arms]
        fixed = adjusted(arms, "mean")
        plain.append(told[1].value - told[0].value)
        better.append(fixed[1].value - fixed[0].value)
        spread_plain.append(told[0].variance + told[1].variance)
        spread_better.append(fixed[0].variance + fixed[1].variance)
    assert np.mean(better) == pytest.approx(1.0, abs=4 * np.std(better) / np.sqrt(300))
    assert np.var(better) < 0.4 * np.var(plain)
    assert all(b <= p for b, p in zip(spread_better, spread_plain, strict=True))


def test_cuped_of_who_had_no_time_before_changes_nothing():
    y = np.array([3.0, 1.0, 4.0, 1.0, 5.0])
    arms = [Sums.of(y, np.zeros(5)), Sums.of(y[::-1] + 1.0, np.zeros(5))]
    assert theta_of(arms, "mean") == 0.0
    assert [each.value for each in adjusted(arms, "mean")] == [mean_of(each).value for each in arms]


def test_the_error_of_a_ratio_holds_where_impressions_of_a_user_are_alike():
    """Users differ in taste and in how much they look at: the delta method's interval covers, the binomial one not."""
    rng = np.random.default_rng(11)
    covered = naive = 0
    for _ in range(400):
        shown = rng.integers(1, 60, 300)
        taste = rng.beta(2.0, 6.0, 300)
        told = ratio_of(Sums.of(rng.binomial(shown, taste), shown))
        covered += abs(told.value - 0.25) < Z * np.sqrt(told.variance / told.n)
        naive += abs(told.value - 0.25) < Z * np.sqrt(told.value * (1 - told.value) / shown.sum())
    assert covered / 400 > 0.92
    assert naive / 400 < 0.85


def test_sums_of_parts_are_the_sums_of_the_whole():
    rng = np.random.default_rng(2)
    y, x = rng.normal(size=(2, 50))
    parts = Sums.of(y[:20], x[:20]) + Sums.of(y[20:], x[20:])
    whole = Sums.of(y, x)
    assert parts.n == whole.n
    assert np.allclose(parts.products, whole.products)
    assert np.allclose(whole.covariance, np.cov(y, x))


@pytest.mark.parametrize(("more_is_worse", "harm"), [(True, Harm.BREACHED), (False, Harm.SAFE)])
def test_a_guardrail_stops_what_gets_worse_and_lets_pass_what_gets_better(more_is_worse, harm):
    rng = np.random.default_rng(4)
    control, treatment = (mean_of(Sums.of(rng.poisson(rate, 3000))) for rate in (1.0, 1.4))
    assert judge(control, treatment, more_is_worse=more_is_worse).harm is harm


def test_a_margin_puts_up_with_what_lies_within_it():
    rng = np.random.default_rng(4)
    control, treatment = (mean_of(Sums.of(rng.poisson(rate, 3000))) for rate in (1.0, 1.4))
    assert judge(control, treatment, more_is_worse=True, margin=0.2).harm is Harm.BREACHED
    assert judge(control, treatment, more_is_worse=True, margin=0.4).harm is Harm.OPEN
    assert judge(control, treatment, more_is_worse=True, margin=0.8).harm is Harm.SAFE


def test_harmless_experiments_are_rarely_stopped_however_often_somebody_looks():
    z, n = looks(np.random.default_rng(12))
    ever = (z > bounds(n, alpha=0.1)).any(axis=1).mean()
    assert ever <= 0.05


def test_a_plan_for_every_look_costs_more_than_one_for_a_single_look():
    told = power.plan(10.0, 10.0, 0.05, arms=2, daily_users=500.0, coverage=0.5)
    assert told.one_look_per_arm == pytest.approx(power.users_per_arm(0.05), abs=1.0)
    assert 1.2 < told.per_arm / told.one_look_per_arm < 3.0
    assert told.users == 2 * told.per_arm
    assert told.days == -(-told.users // 250)
    assert power.detectable_any_time(told.per_arm, 10.0) == pytest.approx(0.5, rel=1e-3)
    with pytest.raises(ValueError, match=r"got 0\.0, 1\.0, 0\.1"):
        power.plan(0.0, 1.0, 0.1, arms=2, daily_users=1.0)
