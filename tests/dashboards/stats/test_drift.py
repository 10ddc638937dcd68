"""The stability index against published numbers, and that it sees what it is for."""

import numpy as np
import pytest

from dashboards.stats.drift import edges, psi, shares


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        ([10, 20, 30, 40], [40, 30, 20, 10], 0.9128696),
        ([50, 30, 20], [45, 33, 22], 0.0100335),
        ([25, 25, 25, 25], [30, 30, 20, 20], 0.0405465),
        ([1, 2, 3], [10, 20, 30], 0.0),
    ],
)
def test_known_values(then, now, expected):
    assert psi(then, now) == pytest.approx(expected, abs=5e-8)


def index(then, now):
    cut = edges(then)
    return psi(shares(then, cut), shares(now, cut))


def test_the_same_distribution_is_stable_and_a_moved_one_is_not():
    rng = np.random.default_rng(1)
    then = rng.standard_normal(5_000)
    assert index(then, rng.standard_normal(5_000)) < 0.02
    assert index(then, rng.standard_normal(5_000) + 0.6) > 0.25


@pytest.mark.parametrize("constant", [0.0, 1.0])
def test_a_constant_column_that_becomes_another_constant_has_drifted(constant):
    then, now = np.full(1_000, constant, np.float32), np.full(1_000, 1.0 - constant, np.float32)
    assert index(then, then) == 0.0
    assert index(then, now) > 5


def test_a_column_that_is_mostly_zero_is_compared_by_its_share_of_zeros():
    then = np.r_[np.zeros(900), np.arange(1, 101)]
    now = np.r_[np.zeros(400), np.tile(np.arange(1, 101), 6)]
    assert index(then, now) > 1


@pytest.mark.parametrize(("then", "now"), [([1, 2], [1, 2, 3]), ([0, 0], [1, 1]), ([1], [0])])
def test_what_cannot_be_compared_is_refused(then, now):
    with pytest.raises(ValueError, match="same bins"):
        psi(then, now)
