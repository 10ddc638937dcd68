"""epsilon-greedy: what it reports as propensity is what it does."""

import numpy as np
import pytest
from scipy import stats

from ranking.pipeline.run import check_positions
from ranking.rerank.exploration import EpsilonGreedy, ExplorationConfig, draw_pages, position_propensity
from tests.worlds import query


def order(candidates: int, *, epsilon: float, depth: int, size: int = 10, seed: int = 1):
    stage = EpsilonGreedy(ExplorationConfig(epsilon=epsilon, depth=depth))
    chosen = stage.order(query(size=size, seed=seed), np.arange(candidates), np.zeros(candidates, np.float32))
    check_positions(chosen, candidates, size)
    return chosen


@pytest.mark.parametrize(("safe", "size", "epsilon"), [(6, 4, 0.4), (40, 10, 0.05), (5, 5, 1.0)])
def test_the_frequencies_of_a_hundred_thousand_pages_agree_with_the_reported_propensities(safe, size, epsilon):
    pages = 100_000
    shown = draw_pages(np.random.default_rng(7), pages, safe=safe, size=size, epsilon=epsilon)[1]
    for position in range(size):
        # A page that has the asked candidate on the asked position, whatever stands on the others.
        asked = [np.full(position + 1, candidate) for candidate in range(safe)]
        reported = np.array([position_propensity(each, safe, epsilon)[position] for each in asked], np.float64)
        assert reported.sum() == pytest.approx(1.0, rel=1e-5)
        counts, cells = np.bincount(shown[:, position], minlength=safe), reported * pages >= 5.0
        expected = reported[cells] / reported[cells].sum() * counts[cells].sum()
        assert counts[~cells].sum() <= 20
        assert stats.chisquare(counts[cells], expected).pvalue > 1e-3


def test_the_stage_shows_what_the_policy_draws():
    """The code of the drawn pages against taking candidates out of a list one by one."""
    for seed in range(500):
        rng = np.random.default_rng(seed)
        explores, drawn = rng.random(10) < 0.5, rng.integers(20 - np.arange(10))
        left = list(range(20))
        expected = [left.pop(int(by) if explore else 0) for explore, by in zip(explores, drawn, strict=True)]
        assert order(50, epsilon=0.5, depth=20, seed=seed).picks.tolist() == expected


def test_the_first_position_by_hand():
    assert position_propensity(np.array([0]), 4, 0.2)[0] == pytest.approx(0.8 + 0.2 / 4)
    assert position_propensity(np.array([3]), 4, 0.2)[0] == pytest.approx(0.2 / 4)


def test_without_exploration_the_order_is_certain():
    chosen = order(8, epsilon=0.0, depth=8)
    assert chosen.picks.tolist() == list(range(8))
    assert chosen.propensity.tolist() == [1.0] * 8


def test_all_exploration_is_uniform():
    assert order(8, epsilon=1.0, depth=8, size=5).propensity.tolist() == pytest.approx([1 / 8] * 5)


def test_what_was_drawn_before_better_ones_is_called_exploration():
    chosen = order(50, epsilon=0.5, depth=40, seed=3)
    left = list(range(50))
    for place, pick in enumerate(chosen.picks.tolist()):
        assert (chosen.reasons.get(place) == "exploration") == (pick != left[0])
        left.remove(pick)
    assert chosen.reasons


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
