import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.extraction.aggregates import CounterStates, WindowCounts, advance, count_windows, fold
from features.extraction.definitions import COUNTER_COLUMN, COUNTERS, HALF_LIVES_S, SIGNALS
from features.extraction.log_clock import LogClock
from tests.features.logs import HOUR, T0, event, log_of, random_rows

HOUR_0 = int(T0 // HOUR)
CLOCK = LogClock.of(np.arange(HOUR_0 - 100, HOUR_0 + 100))
"""Something happens every hour, so that log time is plain time."""


def count(rows, n=3, duration_s=20.0) -> WindowCounts:
    log = log_of(rows)
    codes = np.array([int(each[1:]) if int(each[1:]) < n else -1 for each in log.contents], np.int64)
    return count_windows(log, content=codes, duration_s=np.full(n, duration_s, np.float32))


def signal(counts: WindowCounts, name: str) -> list[float]:
    return counts.counts[:, SIGNALS.index(name)].tolist()


def test_a_person_counts_once_per_hour_however_often_the_event_repeats():
    rows = [event("like", "ann", "c0", T0 + second) for second in range(50)]
    rows += [event("like", "bob", "c0", T0), event("like", "ann", "c0", T0 + HOUR)]
    counts = count(rows)
    assert counts.window.tolist() == [HOUR_0, HOUR_0 + 1]
    assert signal(counts, "likes") == [2.0, 1.0]


def test_an_impression_and_its_view_are_one_exposure_and_a_view_alone_is_one_too():
    rows = [event("impression", "ann", "c0", T0), event("view", "ann", "c0", T0 + 5, watch_s=5.0)]
    rows += [event("view", "bob", "c0", T0 + 9, watch_s=30.0)]
    counts = count(rows)
    assert signal(counts, "exposures") == [2.0]
    assert signal(counts, "long_views") == [1.0]
    assert signal(counts, "watch_s") == [35.0]


def test_watching_all_night_counts_ten_minutes():
    assert signal(count([event("view", "ann", "c0", T0, watch_s=30_000.0)]), "watch_s") == [600.0]


def test_each_signal_counts_its_own_events():
    rows = [event(kind, "ann", "c1", T0) for kind in ("complete_view", "skip", "like", "save", "hide")]
    counts = count(rows)
    found = {name: signal(counts, name)[0] for name in SIGNALS}
    expected = dict.fromkeys(("exposures", "long_views", "completes", "skips", "likes", "shares", "refusals"), 1.0)
    assert found == expected | {"watch_s": 0.0}


def test_events_without_a_content_or_about_unwanted_ones_leave_no_trace():
    rows = [event("follow", "ann", None, T0, creator="k1"), event("like", "ann", "c9", T0)]
    assert len(count(rows)) == 0


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
