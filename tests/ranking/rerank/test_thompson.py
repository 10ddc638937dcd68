"""Thompson's slot: within its budget, under its cap, and shown as often as it says."""

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from ranking.pipeline.run import check_positions
from ranking.rerank.posteriors import BetaPosteriors
from ranking.rerank.thompson import Slots, Thompson, ThompsonConfig
from tests.worlds import history, query, watched

OLD_HAND = history(*(event for clip in range(8) for event in watched(f"clip-{clip:03d}")))
N = 40
SCORES = np.linspace(2.0, -2.0, N).astype(np.float32)
ALL = np.arange(N)


def thompson(*, new=None, trials=None, **config) -> Thompson:
    trials = np.full(N, 5.0) if trials is None else trials
    posterior = BetaPosteriors(0.3 * trials, trials, 0.3)
    return Thompson([posterior], np.zeros(N, bool) if new is None else new, ThompsonConfig(**config))


def order(stage: Thompson, *, size: int = 20, seed: int = 1, past=OLD_HAND, n: int = N):
    chosen = stage.order(query(size=size, seed=seed, past=past), ALL[:n], SCORES[:n])
    check_positions(chosen, n, size)
    return chosen


@pytest.mark.parametrize("past", [OLD_HAND, history()])
def test_the_frequencies_of_a_hundred_thousand_pages_agree_with_the_logged_propensities(past):
    pages, estimates, size = 100_000, 20, 8
    stage = thompson(block=5, depth=6, new=ALL % 3 == 0, new_share=0.5)
    contest = stage.contest(query(size=size, past=past), ALL, SCORES)
    rng = np.random.default_rng(7)
    slots, picked = contest.slots.draw(rng, pages), contest.draw(rng, pages)
    shown = contest.slots.fill(slots, picked)
    wins = np.mean([contest.win_rates(rng, pages) for _ in range(estimates)], axis=0)
    reported = np.zeros((size, N))
    for page in range(2_000):
        rates = wins[[0, 1], picked[page]]
        reported[np.arange(size), shown[page]] = contest.slots.chance(shown[page], slots[page], rates)
    np.testing.assert_allclose(reported.sum(axis=1), 1.0, atol=1e-9)
    for position in range(size):
        counts = np.bincount(shown[:, position], minlength=N)
        cells = reported[position] * pages >= 5.0
        assert counts[~cells].sum() <= 20
        if cells.sum() > 1:
            expected = reported[position, cells] / reported[position, cells].sum() * counts[cells].sum()
            # The expected counts are estimates from 20 times as many draws: their own noise is a twentieth.
            assert stats.chi2.sf(np.sum((counts[cells] - expected) ** 2 / expected) / 1.05, cells.sum() - 1) > 1e-3


def test_the_stage_shows_what_the_contest_draws_and_logs_its_rates():
    stage, size, runs = thompson(block=5, depth=4), 5, 3_000
    contest = stage.contest(query(size=size, past=OLD_HAND), ALL, SCORES)
    wins = contest.win_rates(np.random.default_rng(3), 200_000)[0]
    shown, logged = np.zeros((size, N)), np.zeros((size, N))
    for seed in range(runs):
        chosen = order(stage, size=size, seed=seed)
        shown[np.arange(size), chosen.picks] += 1
        logged[np.arange(size), chosen.picks] += chosen.propensity
    for position in range(size):
        expected = np.zeros(N)
        expected[position], expected[position - 1] = (4 - position) / 5, position / 5
        expected[size:] = wins[size:] / 5
        cells = expected > 0.0
        assert shown[position, ~cells].sum() == 0
        assert stats.chisquare(shown[position, cells], runs * expected[cells]).pvalue > 1e-3
        seen = shown[position] > 100
        np.testing.assert_allclose((logged[position] / np.maximum(shown[position], 1))[seen], expected[seen], rtol=0.04)


@pytest.mark.parametrize("size", [1, 7, 10, 13, 20, 25])
def test_one_slot_in_ten_is_explored_whatever_the_length(size):
    explored = [len(order(thompson(depth=10), size=size, seed=seed).reasons) for seed in range(400)]
    assert max(explored) <= -(-size // 10)
    assert np.mean(explored) == pytest.approx(size / 10, abs=0.1)
    whole = -(-size // 10) if size % 10 == 0 else size // 10
    assert min(explored) >= whole


def test_everything_but_the_slots_goes_on_in_order():
    for seed in range(50):
        chosen = order(thompson(), seed=seed)
        plain = [pick for place, pick in enumerate(chosen.picks.tolist()) if place not in chosen.reasons]
        assert plain == list(range(len(plain)))
        assert all(chosen.picks[place] >= 20 for place in chosen.reasons)


def test_the_first_position_of_a_newcomer_is_never_explored():
    firsts = {past: Counter() for past in ("newcomer", "old hand")}
    for seed in range(300):
        firsts["newcomer"][0 in order(thompson(), seed=seed, past=history()).reasons] += 1
        firsts["old hand"][0 in order(thompson(), seed=seed).reasons] += 1
    assert firsts["newcomer"][True] == 0
    assert firsts["old hand"][True] > 10


def test_a_newcomer_who_is_past_the_first_position_of_a_walk_meets_exploration():
    firsts = [
        0 in thompson().order(query(size=11, spare=10, seed=seed, begins=False), ALL, SCORES).reasons
        for seed in range(300)
    ]
    assert sum(firsts) > 10


@pytest.mark.parametrize(("past", "explored"), [(history(), 10), (OLD_HAND, 20)])
def test_blocks_of_one_position_explore_all_of_a_page_and_every_second_one_for_newcomers(past, explored):
    chosen = order(thompson(block=1, depth=20), past=past)
    assert len(chosen.reasons) == explored
    assert (0 in chosen.reasons) == (past is OLD_HAND)


@pytest.mark.parametrize(("already", "allowed"), [(0, 3), (1, 2), (3, 0), (6, 0)])
def test_exploration_never_lifts_new_contents_above_their_share(already, allowed):
    new = (ALL >= 20) | np.isin(ALL, np.arange(already))
    stage = thompson(new=new, block=4, new_share=0.15)
    for seed in range(100):
        chosen = order(stage, seed=seed)
        assert len(chosen.reasons) == allowed
        assert new[chosen.picks].sum() == max(3, already)


def test_small_pages_lose_nothing_of_the_cap():
    stage = thompson(new=ALL >= 20, block=1, depth=20, new_share=0.15)
    allowed = [
        stage.new[stage.order(query(size=3, seen=range(100, 100 + seen), past=OLD_HAND), ALL, SCORES).picks].sum()
        for seen in range(0, 300, 3)
    ]
    assert sum(allowed) == 45


def test_above_the_cap_known_contents_are_explored_instead():
    new = (ALL >= 20) & (ALL < 35)
    stage = thompson(new=new, block=5, new_share=0.05)
    for seed in range(100):
        chosen = order(stage, seed=seed)
        assert len(chosen.reasons) == 4
        assert new[chosen.picks].sum() == 1


def test_new_contents_come_first_however_good_the_known_ones_are():
    new = ALL == N - 1
    for seed in range(100):
        chosen = order(thompson(new=new, depth=3), size=10, seed=seed)
        assert chosen.picks[next(iter(chosen.reasons))] == N - 1


def test_a_new_content_that_its_own_slot_pushes_off_the_page_does_not_count():
    new = (ALL == 9) | (ALL > 30)
    for seed in range(100):
        assert new[order(thompson(new=new), size=10, seed=seed).picks].sum() == 1


def test_the_uncertain_is_explored_more_than_the_equally_good_and_known():
    trials = np.where(ALL % 2, 1_000.0, 0.0)
    contest = thompson(trials=trials, depth=20).contest(query(size=20, past=OLD_HAND), ALL, np.zeros(N, np.float32))
    assert contest.win_rates(np.random.default_rng(1), 5_000)[0, ::2].sum() > 0.95


def test_the_pool_is_the_most_promising_behind_the_page():
    trials = np.where(ALL == N - 1, 0.0, 10_000.0)
    contest = thompson(trials=trials, depth=3).contest(query(size=20, past=OLD_HAND), ALL, SCORES / 4)
    assert set(contest.heats[0].pool.tolist()) == {20, 21, N - 1}


def test_a_pool_can_win_several_slots_only_with_different_contents():
    for seed in range(100):
        assert len(set(order(thompson(block=2, depth=20), seed=seed).picks.tolist())) == 20


@pytest.mark.parametrize("n", [0, 1, 5, 20])
def test_where_the_page_holds_every_candidate_nothing_is_explored(n):
    chosen = order(thompson(), n=n)
    assert chosen.picks.tolist() == list(range(n))
    assert chosen.propensity.tolist() == [1.0] * n


def test_the_same_seed_gives_the_same_page_and_the_same_propensities():
    first, second, other = (order(thompson(), seed=seed) for seed in (5, 5, 6))
    assert first.picks.tolist() == second.picks.tolist()
    assert first.propensity.tolist() == second.propensity.tolist()
    assert first.picks.tolist() != other.picks.tolist()


def test_a_win_too_rare_to_be_seen_has_the_floor_as_its_propensity():
    slots = Slots(size=10, block=10, count=1)
    page = slots.fill(np.array([[4]]), np.array([[17]]))[0]
    assert page.tolist() == [0, 1, 2, 3, 17, 4, 5, 6, 7, 8]
    assert slots.chance(page, np.array([4]), np.array([1 / 512]))[4] == pytest.approx(1 / 5_120)
    assert slots.chance(page, np.array([4]), np.array([1 / 512]))[[0, 3, 5, 9]].tolist() == [0.9, 0.6, 0.5, 0.9]


@pytest.mark.parametrize("bad", [{"block": 0}, {"depth": 0}, {"draws": 0}, {"new_share": 1.5}])
def test_impossible_settings_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        ThompsonConfig(**bad)
