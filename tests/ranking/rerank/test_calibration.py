"""The page's mix follows the user's, by Steck's objective and no other."""

from itertools import combinations
from math import log

import numpy as np
import pytest

from ranking.rerank.assembly import Assemble
from ranking.rerank.calibration import ALPHA, Calibration, PageMix, category_mix, miscalibration
from tests.worlds import families, query

SHELF = families(count=4, size=25).shelf
ALL = np.arange(len(SHELF))


def codes(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def test_the_divergence_by_hand():
    q = (0.99 * 0.75 + 0.01 * 0.5, 0.99 * 0.25 + 0.01 * 0.5)
    expected = 0.5 * log(0.5 / q[0]) + 0.5 * log(0.5 / q[1])
    assert ALPHA == 0.01
    assert miscalibration(np.array([0.5, 0.5]), np.array([3.0, 1.0])) == pytest.approx(expected)


def test_a_gain_is_the_divergence_of_the_page_that_would_result():
    rng = np.random.default_rng(3)
    offered = rng.integers(-1, 5, size=40).astype(np.int32)
    wanted = np.array([0.4, 0.3, 0.0, 0.2, 0.1])
    page = PageMix(offered, wanted, 1.0)
    counts = np.zeros(5)
    for pick in rng.permutation(40)[:12]:
        gains = page.gains()
        for other in np.flatnonzero(offered >= 0):
            after = counts + (np.arange(5) == offered[other])
            assert gains[other] == pytest.approx(-miscalibration(wanted, after))
        if counts.any():
            np.testing.assert_allclose(gains[offered < 0], -miscalibration(wanted, counts))
        page.take(int(pick))
        counts += np.arange(5) == offered[pick]


def test_a_full_strength_page_is_as_calibrated_as_the_best_of_all_pages():
    offered = codes(0, 0, 0, 0, 0, 1, 1, 1, 2, 2)
    wanted = np.array([0.5, 0.25, 0.25])
    page, picks = PageMix(offered, wanted, 1.0), []
    for _ in range(4):
        gains = page.gains()
        gains[picks] = -np.inf
        picks.append(int(gains.argmax()))
        page.take(picks[-1])

    def divergence(chosen) -> float:
        return miscalibration(wanted, np.bincount(offered[list(chosen)], minlength=3).astype(float))

    assert divergence(picks) == pytest.approx(min(divergence(each) for each in combinations(range(10), 4)))


def shares(strength: float, liked_of: tuple[int, ...]) -> np.ndarray:
    """Category shares of a page whose scores prefer category 0, for a user with these liked contents per category."""
    liked = np.concatenate([np.flatnonzero(SHELF.category == each)[:many] for each, many in enumerate(liked_of)])
    scores = (2.0 * (SHELF.category == 0) + 0.3 * np.random.default_rng(1).normal(size=100)).astype(np.float32)
    stage = Assemble([Calibration(SHELF, liked, strength)])
    page = stage.order(query(size=20), ALL, scores).picks[:20]
    return np.bincount(SHELF.category[page], minlength=4) / 20


def test_strength_moves_the_page_from_the_scores_to_the_users_mix():
    assert shares(0.0, (14, 6, 0, 0))[0] == 1.0
    calibrated = shares(0.999, (14, 6, 0, 0))
    wanted = (np.array([14, 6, 0, 0]) + 1.25) / 25
    np.testing.assert_allclose(calibrated, wanted, atol=0.051)


def test_a_category_never_liked_keeps_a_share_while_little_is_known():
    assert category_mix(codes(0), codes(0, 1)).tolist() == [3.5 / 6, 2.5 / 6]
    assert category_mix(codes(), codes(0, 1)).tolist() == [0.5, 0.5]


def test_unknown_categories_count_for_nothing():
    assert category_mix(codes(-1, 0), codes(-1, 0), imagined=1.0).tolist() == [1.0]
    assert category_mix(codes(-1), codes(-1)).tolist() == []
    page = PageMix(codes(-1, -1), np.empty(0), 1.0)
    assert page.gains().tolist() == [0.0, 0.0]
    page.take(0)
    assert page.gains().tolist() == [0.0, 0.0]


@pytest.mark.parametrize("strength", [-0.1, 1.0])
def test_a_strength_without_meaning_is_refused(strength):
    with pytest.raises(ValueError, match="strength"):
        Calibration(SHELF, ALL[:0], strength)
