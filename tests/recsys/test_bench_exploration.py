"""The exploration benchmark: one world for all policies, pages that obey the rules, and bars that can fail."""

import numpy as np
import pytest

from recsys.benchmarks import exploration, kuairand_log
from recsys.benchmarks.exploration_world import PAGE, Week, World
from recsys.benchmarks.import_rows import write_folder
from recsys.benchmarks.scratch import BenchmarkFailedError

POLICIES = {
    "greedy": exploration.greedy,
    "epsilon": exploration.epsilon_greedy,
    "safe_epsilon": exploration.safe_epsilon,
    "linear": exploration.linear,
    "diverse": exploration.diverse,
    "ours": exploration.thompson,
}


@pytest.fixture(scope="module")
def world() -> World:
    return World(kuairand_log.planted(users=1_000, items=800), users=25, seed=1)


@pytest.mark.parametrize("name", POLICIES)
def test_no_policy_shows_a_content_twice_or_before_its_upload(world, name):
    days = []

    def watched(offer, rng):
        page = POLICIES[name](offer, rng)
        assert page.shape == (25, PAGE)
        assert all(len(set(row)) == PAGE for row in page.tolist())
        assert np.isfinite(np.take_along_axis(offer.value, page, axis=1)).all()
        days.append(page)
        return page

    world.live(watched, scale=4.0)
    shown = np.concatenate(days, axis=1)
    assert all(len(set(row)) == shown.shape[1] for row in shown.tolist())
    first_day = np.concatenate(days[:3], axis=1)
    assert (world.upload_day[first_day] <= 0).all()


def test_the_beliefs_know_nothing_of_the_weeks_uploads(world):
    belief = world.belief(4.0)
    assert belief.trials[world.new].sum() == 0.0
    assert belief.trials[~world.new].sum() > 0.0
    assert 0.02 < world.new.mean() < 0.1


def test_the_same_week_twice_is_the_same_week(world):
    assert world.live(exploration.thompson, scale=4.0) == world.live(exploration.thompson, scale=4.0)


def test_exploration_shows_more_new_contents_than_greedy(world):
    weeks = {name: world.live(policy, scale=4.0) for name, policy in POLICIES.items()}
    assert weeks["ours"].new_share > weeks["greedy"].new_share
    assert weeks["ours"].watch_s > weeks["epsilon"].watch_s


def test_the_interval_is_the_t_interval_of_paired_differences():
    low, high = exploration.interval(np.array([0.01, 0.03]))
    assert (low + high) / 2 == pytest.approx(0.02)
    assert (high - low) / 2 == pytest.approx(12.7062 * 0.01, rel=1e-3)
    assert exploration.interval(np.array([0.01])) == (0.01, 0.01)


def test_a_policy_that_costs_too_much_or_shows_too_little_fails():
    week = {"greedy": [Week(100.0, 0.0, 0.0)], "epsilon": [Week(94.0, 0.03, 0.1)]}
    assert [bar.holds for bar in exploration.judge({**week, "ours": [Week(98.5, 0.11, 0.5)]}).bars] == [True, True]
    assert [bar.holds for bar in exploration.judge({**week, "ours": [Week(97.5, 0.09, 0.5)]}).bars] == [False, False]


def test_a_kuairand_folder_is_read_as_it_is(tmp_path):
    log = kuairand_log.read(write_folder(tmp_path, scale=0.02))
    assert log.watches.users == 540
    assert log.watches.items == 150
    assert len(log.watches.user) == 540 * 30 + 1_900
    assert log.watches.long_view.mean() == pytest.approx(0.34, abs=0.05)
    assert (log.long_s > log.short_s).all()


def test_a_folder_without_a_log_is_named(tmp_path):
    with pytest.raises(BenchmarkFailedError, match="log_standard"):
        kuairand_log.read(tmp_path)
