"""Assignment: the published vectors, and what must hold for anybody to believe a result."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from ranking.experiments.allocation import Allocation, arm_at, held_out, in_namespace, ranges_of
from ranking.experiments.hashing import coarse_place, place

USERS = [f"user-{number}" for number in range(100_000)]


def two_arms(key="hooks", phase=1, coverage=1.0, **more):
    return Allocation(key, phase, ("control", "treatment"), (0.5, 0.5), coverage, **more)


@pytest.mark.parametrize(
    ("seed", "unit", "wanted"),
    [
        ("seed", "a", 0.0505), ("seed", "b", 0.2696), ("foo", "ab", 0.2575), ("foo", "def", 0.2019),
        ("89123klj", "8952klfjas09ujkasdf", 0.124), ("90850943850283058242805", "123", 0.7516),
    ],
)  # fmt: skip
def test_e1_places_of_version_2(seed, unit, wanted):
    assert place(seed, unit) == wanted


@pytest.mark.parametrize(
    ("seed", "unit", "wanted"), [("", "a", 0.22), ("b", "a", 0.946), ("asdf", "8952klfjas09ujk", 0.549)]
)
def test_e1_places_of_version_1(seed, unit, wanted):
    assert coarse_place(seed, unit) == wanted


def test_e1_ranges_and_arms():
    assert ranges_of([0.5, 0.5], 0.5) == [(0, 0.25), (0.5, 0.75)]
    assert ranges_of([0.2, 0.3, 0.5], 0.2) == [(0, 0.04), (0.2, 0.26), (0.5, 0.6)]
    assert arm_at(0.5, [(0, 0.5), (0.5, 1)]) == 1
    assert arm_at(0.45, [(0, 0.4), (0.5, 0.9)]) == -1
    assert not in_namespace("1", "namespace1", (0, 0.4))
    assert in_namespace("1", "namespace1", (0.4, 1))


def test_another_process_comes_to_the_same_arms():
    """With another hash seed and nothing in common but the code."""
    code = (
        "from ranking.experiments.allocation import Allocation\n"
        "told = Allocation('hooks', 1, ('control', 'treatment'), (0.5, 0.5), 0.7)\n"
        "print(''.join((told.arm_of(f'user-{n}') or '-')[0] for n in range(2000)))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout.strip()
        for seed in ("1", "2")
    }
    here = two_arms(coverage=0.7)
    assert told == {"".join((here.arm_of(user) or "-")[0] for user in USERS[:2000])}


def test_coverage_grows_without_moving_anybody():
    before = two_arms(coverage=0.0)
    for coverage in (0.1, 0.37, 0.5, 0.9, 1.0):
        after = two_arms(coverage=coverage)
        for user in USERS[:20_000]:
            arm = before.arm_of(user)
            assert arm is None or after.arm_of(user) == arm
        share = np.mean([after.arm_of(user) is not None for user in USERS[:20_000]])
        assert share == pytest.approx(coverage, abs=0.015)
        before = after


def joint(one, other):
    """Users by arm of either experiment."""
    counts = np.zeros((2, 2))
    for user in USERS:
        counts[one.arms.index(one.arm_of(user)), other.arms.index(other.arm_of(user))] += 1
    return counts


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("hooks", 1), ("weights", 1)), (("hooks", 1), ("hooks2", 1)), (("exp-1", 1), ("exp-2", 1)),
        (("hooks", 1), ("hooks", 2)),
    ],
)  # fmt: skip
def test_two_experiments_are_independent_and_so_are_two_phases(one, other):
    """Hundred thousand users; a dependence of one per cent would show."""
    counts = joint(two_arms(*one), two_arms(*other))
    assert stats.chi2_contingency(counts, correction=False).pvalue > 0.001
    assert stats.chisquare(counts.sum(axis=1)).pvalue > 0.001


def test_arms_do_not_follow_the_order_of_ids():
    arms = np.array([two_arms().arm_of(user) == "control" for user in USERS])
    # Runs of neighbours: with independent arms half of them change.
    changes = np.count_nonzero(arms[1:] != arms[:-1])
    assert abs(changes - 49_999.5) < 4 * np.sqrt(99_999) / 2


def test_experiments_of_one_namespace_never_share_a_user():
    one = two_arms("one", namespace="page", within=(0.0, 0.4))
    other = two_arms("other", namespace="page", within=(0.4, 1.0))
    told = [(one.arm_of(user) is not None, other.arm_of(user) is not None) for user in USERS[:20_000]]
    assert all(first != second for first, second in told)
    assert np.mean([first for first, _ in told]) == pytest.approx(0.4, abs=0.02)


def test_the_holdout_is_its_share_and_a_larger_one_contains_a_smaller():
    small = {user for user in USERS if held_out(user, 0.02)}
    large = {user for user in USERS if held_out(user, 0.05)}
    assert small < large
    assert len(small) / 100_000 == pytest.approx(0.02, abs=0.002)
    assert not any(held_out(user, 0.0) for user in USERS[:1000])


def test_an_override_decides_and_is_not_counted():
    told = two_arms(coverage=0.0, overrides={"mia": "treatment"})
    assert told.arm_of("mia") == "treatment"
    assert not told.counts("mia")
    assert told.arm_of("leo") is None
    assert told.counts("leo")
