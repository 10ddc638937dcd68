"""epsilon-greedy: what it reports as propensity is what it does."""

import numpy as np
import pytest
from scipy import stats

from ranking.pipeline.run import check_positions
from ranking.rerank.exploration import EpsilonGreedy, ExplorationConfig, position_propensity
from tests.worlds import query


def order(candidates: int, *, epsilon: float, depth: int, size: int = 10, seed: int = 1):
    stage = EpsilonGreedy(ExplorationConfig(epsilon=epsilon, depth=depth))
    chosen = stage.order(query(size=size, seed=seed), np.arange(candidates), np.zeros(candidates, np.float32))
    check_positions(chosen, candidates, size)
    return chosen


def test_frequencies_agree_with_the_reported_propensities():
    candidates, size, runs = 6, 4, 20_000
    shown = np.zeros((size, candidates))
    reported = np.full((size, candidates), np.nan)
    for seed in range(runs):
        chosen = order(candidates, epsilon=0.4, depth=6, size=size, seed=seed)
        shown[np.arange(size), chosen.picks] += 1
        reported[np.arange(size), chosen.picks] = chosen.propensity
    assert not np.isnan(reported).any()
    np.testing.assert_allclose(reported.sum(axis=1), 1.0, rtol=1e-5)
    for position in range(size):
        expected = runs * reported[position].astype(np.float64)
        expected *= runs / expected.sum()
        assert stats.chisquare(shown[position], expected).pvalue > 1e-3


def test_the_first_position_by_hand():
    assert position_propensity(np.array([0]), 4, 0.2)[0] == pytest.approx(0.8 + 0.2 / 4)
    assert position_propensity(np.array([3]), 4, 0.2)[0] == pytest.approx(0.2 / 4)


def test_without_exploration_the_order_is_certain():
    chosen = order(8, epsilon=0.0, depth=8)
    assert chosen.picks.tolist() == list(range(8))
    assert chosen.propensity.tolist() == [1.0] * 8


def test_all_exploration_is_uniform():
    assert order(8, epsilon=1.0, depth=8, size=5).propensity.tolist() == pytest.approx([1 / 8] * 5)


def test_it_never_leaves_the_safe_candidates_while_there_are_some():
    for seed in range(200):
        assert order(100, epsilon=1.0, depth=20, size=10, seed=seed).picks.max() < 20


def test_a_page_longer_than_the_safe_list_goes_on_in_order():
    chosen = order(10, epsilon=1.0, depth=3, size=6)
    assert sorted(chosen.picks[:3].tolist()) == [0, 1, 2]
    assert chosen.picks[3:].tolist() == [3, 4, 5]
    assert chosen.propensity[3:].tolist() == [1.0] * 3


def test_the_same_seed_gives_the_same_page():
    first, second = (order(50, epsilon=0.5, depth=40, seed=9) for _ in range(2))
    assert first.picks.tolist() == second.picks.tolist()


def test_no_candidates_give_no_positions():
    assert len(order(0, epsilon=0.5, depth=5).picks) == 0


@pytest.mark.parametrize("bad", [{"epsilon": -0.1}, {"epsilon": 1.1}, {"depth": 0}])
def test_impossible_settings_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        ExplorationConfig(**bad)
