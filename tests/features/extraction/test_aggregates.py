import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.extraction.aggregates import CounterStates, WindowCounts, advance, fold, summed
from features.extraction.counting import count_windows
from features.extraction.definitions import COUNTER_COLUMN, COUNTERS, HALF_LIVES_S
from features.extraction.log_clock import LogClock
from tests.features.logs import HOUR, T0, event, log_of, random_rows

HOUR_0 = int(T0 // HOUR)
CLOCK = LogClock.of(np.arange(HOUR_0 - 100, HOUR_0 + 100))
"""Something happens every hour, so that log time is plain time."""


def count(rows, n=3, duration_s=20.0) -> WindowCounts:
    log = log_of(rows)
    codes = np.array([int(each[1:]) if int(each[1:]) < n else -1 for each in log.contents], np.int64)
    return count_windows(log, content=codes, duration_s=np.full(n, duration_s, np.float32))


def test_an_empty_log_folds_to_the_states_before_it():
    counts = count([])
    base = CounterStates.empty(3)
    after, steps = fold(counts, base, clock=CLOCK, until=T0)
    assert len(counts) == 0
    assert steps.state.shape == (0, len(COUNTERS))
    assert (after.state == base.state).all()


def test_two_people_a_day_after_one_make_two_and_a_half_by_the_day():
    rows = [event("like", "ann", "c0", T0), event("like", "bob", "c0", T0 + 24 * HOUR)]
    rows += [event("like", "cem", "c0", T0 + 24 * HOUR + 1)]
    _, steps = fold(count(rows), CounterStates.empty(3), clock=CLOCK, until=np.inf)
    column = COUNTER_COLUMN["likes", "1d"]
    assert steps.state[:, column].tolist() == [1.0, 1 * 2**-1 + 2]
    assert steps.as_of.tolist() == [T0 + HOUR, T0 + 25 * HOUR]


def test_the_running_hour_ends_at_until():
    _, steps = fold(count([event("like", "ann", "c0", T0 + 60)]), CounterStates.empty(3), clock=CLOCK, until=T0 + 120)
    assert steps.as_of.tolist() == [T0 + 120]


def test_time_cannot_run_backwards():
    with pytest.raises(ValueError, match="backwards"):
        advance(np.zeros((1, len(COUNTERS)), np.float32), -1.0)


def test_each_counter_halves_within_its_own_half_life():
    state = np.ones((1, len(COUNTERS)), np.float32)
    for label, half_life in HALF_LIVES_S.items():
        column = COUNTER_COLUMN["likes", label]
        assert advance(state, half_life)[0, column] == pytest.approx(0.5)
        assert advance(state, 3 * half_life)[0, column] == pytest.approx(1 / 8)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 20))
def test_folding_in_two_parts_gives_the_same_bits_as_at_once(seed, cut):
    rows = random_rows(np.random.default_rng(seed), events=120, users=4, contents=3, hours=20)
    counts = count(rows, n=5)
    whole, whole_steps = fold(counts, CounterStates.empty(5), clock=CLOCK, until=T0)
    early = counts.window < HOUR_0 - 20 + cut
    parts = [WindowCounts(counts.window[p], counts.content[p], counts.counts[p]) for p in (early, ~early)]
    half, first = fold(parts[0], CounterStates.empty(5), clock=CLOCK, until=T0)
    after, second = fold(parts[1], half, clock=CLOCK, until=T0)
    assert np.array_equal(after.state, whole.state)
    assert np.array_equal(after.as_of, whole.as_of)
    assert np.array_equal(np.concatenate([first.state, second.state]), whole_steps.state)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_fold_equals_the_sum_over_all_hours_by_definition(seed):
    rows = random_rows(np.random.default_rng(seed), events=60, users=3, contents=2, hours=30)
    liked = {(int(at // HOUR), user) for kind, user, content, at, _ in rows if kind == "like" and content == "c000"}
    after, _ = fold(count(rows, n=4), CounterStates.empty(4), clock=CLOCK, until=T0)
    for label, half_life in HALF_LIVES_S.items():
        expected = sum(2 ** (-(T0 - min((hour + 1) * HOUR, T0)) / half_life) for hour, _ in liked)
        assert after.at(T0, CLOCK)[0, COUNTER_COLUMN["likes", label]] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_counters_of_a_group_are_the_sums_over_its_contents():
    states = np.random.default_rng(0).uniform(0, 5, (6, len(COUNTERS))).astype(np.float32)
    sums = summed(states, np.array([2, 0, 2, -1, 0, 2]), 4)
    assert sums[2] == pytest.approx(states[[0, 2, 5]].sum(axis=0))
    assert sums[0] == pytest.approx(states[[1, 4]].sum(axis=0))
    assert not sums[[1, 3]].any()


def test_the_counter_of_a_group_is_what_its_contents_fold_to_together():
    """Linear, so that nothing has to be counted per creator or category."""
    rows = random_rows(np.random.default_rng(4), events=200, users=9, contents=3, hours=30)
    apart, _ = fold(count(rows, n=5), CounterStates.empty(5), clock=CLOCK)
    together = count(rows, n=5)
    hours, place = np.unique(together.window, return_inverse=True)
    totals = np.zeros((len(hours), together.counts.shape[1]), np.float32)
    np.add.at(totals, place, together.counts)
    one, _ = fold(WindowCounts(hours, np.zeros(len(hours), np.int64), totals), CounterStates.empty(1), clock=CLOCK)
    at = float(one.as_of[0])
    sums = summed(apart.at(at, CLOCK), np.zeros(5, np.int32), 1)
    assert sums == pytest.approx(one.at(at, CLOCK), rel=1e-4)
