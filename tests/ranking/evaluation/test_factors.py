"""The factor model finds what was planted, and claims no tastes where there are none."""

import numpy as np
import pytest

from ranking.evaluation.factors import Watches, fit, fold_in, item_rates

USERS, ITEMS = 1_500, 120


def world(*, strength: float, seed: int = 3) -> tuple[Watches, np.ndarray]:
    """Users who like half of the topics, and the true chance of every user and item."""
    rng = np.random.default_rng(seed)
    side = rng.choice([-1.0, 1.0], size=(USERS, 1)) * rng.choice([-1.0, 1.0], size=(1, ITEMS))
    chance = np.clip(rng.beta(6.0, 10.0, size=ITEMS) + strength * side, 0.02, 0.98)
    user = np.repeat(np.arange(USERS), 40)
    item = rng.integers(ITEMS, size=len(user))
    return Watches(user, item, rng.random(len(user)) < chance[user, item], USERS, ITEMS), chance


def test_planted_rates_and_tastes_are_found():
    watches, chance = world(strength=0.2)
    fitted = fit(watches, dims=4, rng=np.random.default_rng(1))
    found = fitted.chances(np.arange(USERS))
    assert np.corrcoef(found.mean(axis=0), chance.mean(axis=0))[0, 1] > 0.95
    without_taste = fitted.rate + fitted.bias[:, None]
    assert np.mean((found - chance) ** 2) < 0.5 * np.mean((without_taste - chance) ** 2)
    assert found.min() >= 0.02
    assert found.max() <= 0.98


def test_where_there_is_no_taste_the_gain_is_close_to_nothing():
    watches, _ = world(strength=0.0)
    found = fit(watches, dims=4, rng=np.random.default_rng(1))
    assert (found.taste @ found.trait.T).std() < 0.03


def test_folding_in_the_users_it_was_fitted_on_changes_nothing():
    watches, _ = world(strength=0.2)
    found = fit(watches, dims=4, rng=np.random.default_rng(1))
    again = fold_in(watches, found.rate, found.trait, gain=found.gain)
    np.testing.assert_allclose(again.taste, found.taste)
    np.testing.assert_allclose(again.bias, found.bias)


def test_who_was_never_seen_is_average():
    watches, _ = world(strength=0.2)
    some = watches.where((watches.user > 0) & (watches.item > 0))
    found = fit(some, dims=4, rng=np.random.default_rng(1))
    assert found.bias[0] == 0.0
    assert not found.taste[0].any()
    assert found.rate[0] == pytest.approx(some.long_view.mean())
    assert item_rates(some)[0] == found.rate[0]


@pytest.mark.parametrize("long_view", [np.ones(3, bool), np.zeros(3, bool), np.empty(0, bool)])
def test_impressions_of_one_kind_are_refused(long_view):
    codes = np.zeros(len(long_view), np.int64)
    with pytest.raises(ValueError, match="long views and others"):
        fit(Watches(codes, codes, long_view, 1, 1), dims=2, rng=np.random.default_rng(1))
