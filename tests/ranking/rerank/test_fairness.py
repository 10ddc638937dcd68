"""Debts are paid over many pages, and no page ever loses more than its bound."""

import numpy as np
import pytest

from ranking.rerank.fairness import CreatorFairness, exposure, merit, paid, worth
from tests.worlds import query

ROUNDING = 1e-9


def page(groups, scores, *, owed, largest_loss=0.01, size=10):
    stage = CreatorFairness(np.asarray(groups), np.asarray(owed, float), largest_loss)
    return stage.order(query(size=size), np.arange(len(groups)), np.asarray(scores, np.float32))


@pytest.mark.parametrize("largest_loss", [0.0, 0.01, 0.05, 0.3])
@pytest.mark.parametrize("seed", range(40))
def test_no_page_loses_more_than_its_bound_whatever_is_owed(largest_loss, seed):
    rng = np.random.default_rng(seed)
    n, count = int(rng.integers(1, 80)), int(rng.integers(1, 5))
    size = int(rng.integers(1, 30))
    groups = rng.integers(-1, count, size=n)
    scores = rng.normal(rng.normal(0, 10), rng.gamma(1.0, 3.0), size=n)
    scores = np.sort(scores)[::-1] if seed % 2 else scores
    owed = rng.normal(0.0, 10.0 ** rng.integers(-1, 5), size=count)
    chosen = page(groups, scores, owed=owed, largest_loss=largest_loss, size=size)
    value, shown = worth(scores.astype(np.float32)), min(size, n)
    before, after = value[:shown], value[chosen.picks[:shown]]
    assert after.sum() >= (1.0 - largest_loss) * before.sum() - ROUNDING
    seen = exposure(shown)
    assert after @ seen >= (1.0 - largest_loss) * (before @ seen) - ROUNDING
    assert sorted(chosen.picks.tolist()) == list(range(n))


def test_without_debts_the_order_stays():
    chosen = page([0, 0, 0, 1, 1], [5, 4, 3, 2, 1], owed=[50.0, -50.0])
    assert chosen.picks.tolist() == [0, 1, 2, 3, 4]
    assert chosen.reasons == {}


def test_who_is_owed_comes_first_where_the_loss_allows():
    scores = [9.0, 8.9, 8.8, 8.7, 0.0]
    chosen = page([0, 0, 0, 1, 0], scores, owed=[-50.0, 50.0], size=3, largest_loss=0.05)
    assert chosen.picks.tolist() == [3, 0, 1, 2, 4]
    assert dict(chosen.reasons) == {0: "creator_exposure"}
    # 4 of 35.4 worth is more than a twentieth, and so nothing moves.
    scores[3] = 4.0
    assert page([0, 0, 0, 1, 0], scores, owed=[-50.0, 50.0], size=3, largest_loss=0.05).reasons == {}


def test_merit_and_exposure_by_hand():
    groups, values = np.array([0, 1, 1, -1]), np.array([1.0, 2.0, 1.0, 4.0])
    total = 1.0 + 1.0 / np.log2(3.0)
    np.testing.assert_allclose(merit(groups, values, 2, count=3), np.array([1.0, 3.0, 0.0]) / 8.0 * total)
    np.testing.assert_allclose(paid(np.array([1, -1, 0]), count=2), [0.5, 1.0])
    np.testing.assert_allclose(merit(groups, np.zeros(4), 1, count=2), [0.25, 0.5])


def shares(largest_loss: float, pages: int = 400) -> tuple[float, float]:
    """Exposure and merit share of a group whose contents are a little worse, over many pages."""
    rng = np.random.default_rng(3)
    owed, earned, got = np.zeros(2), np.zeros(2), np.zeros(2)
    for _ in range(pages):
        groups = (np.arange(60) % 3 == 0).astype(np.int64)
        scores = rng.normal(size=60) - 0.8 * groups
        best_first = np.argsort(-scores)
        groups, scores = groups[best_first], scores[best_first].astype(np.float32)
        chosen = page(groups, scores, owed=owed, largest_loss=largest_loss)
        merits, exposures = merit(groups, worth(scores), 10, count=2), paid(groups[chosen.picks[:10]], count=2)
        owed, earned, got = owed + merits - exposures, earned + merits, got + exposures
    return float(got[1] / got.sum()), float(earned[1] / earned.sum())


def test_over_many_pages_exposure_follows_merit():
    without, earned = shares(0.0)
    assert without < 0.6 * earned
    bounded, _ = shares(0.01)
    assert without + 0.02 < bounded < earned
    generous, _ = shares(0.2)
    assert generous == pytest.approx(earned, rel=0.02)


@pytest.mark.parametrize("bad", [-0.01, 1.0])
def test_a_bound_without_meaning_is_refused(bad):
    with pytest.raises(ValueError, match="largest_loss"):
        CreatorFairness(np.zeros(1, np.int64), np.zeros(1), bad)
