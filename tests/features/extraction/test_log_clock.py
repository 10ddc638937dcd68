import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.extraction.log_clock import LogClock
from tests.features.logs import HOUR

hours = st.lists(st.integers(0, 2000), max_size=40, unique=True).map(lambda each: np.array(sorted(each), np.int64))


def test_short_silences_pass_in_plain_time():
    clock = LogClock.of(np.array([0, 5, 29]))
    moments = np.array([0.0, 3.0, 29.0, 30.0, 53.9]) * HOUR
    assert clock.at(moments).tolist() == moments.tolist()


def test_a_silence_of_everyone_counts_as_a_day():
    clock = LogClock.of(np.array([0, 100, 103]))
    assert (clock.at(np.array([24.0, 25.0, 26.0, 100.0, 101.0, 104.0]) * HOUR) / HOUR).tolist() == [
        24,
        25,
        25,
        25,
        26,
        29,
    ]
    assert clock.at(np.array([1e9]))[0] == pytest.approx((29 + 24) * HOUR)


def test_without_events_and_before_them_time_is_plain():
    assert LogClock.of(np.empty(0, np.int64)).at(np.array([7.0])).tolist() == [7.0]
    assert LogClock.of(np.array([50])).at(np.array([-np.inf, 3.0])).tolist() == [-np.inf, 3.0]


@given(hours, st.lists(st.floats(0, 1e7), min_size=2, max_size=20))
def test_log_time_never_runs_backwards_nor_faster_than_time(windows, moments):
    moments = np.sort(moments)
    passed = np.diff(LogClock.of(windows).at(moments))
    assert (passed >= -1e-6).all()
    assert (passed <= np.diff(moments) + 1e-6).all()


@given(hours, st.integers(0, 2000))
def test_what_happens_from_an_hour_on_does_not_change_the_time_at_its_start(windows, now):
    whole, known = LogClock.of(windows), LogClock.of(windows[windows < now])
    at = np.arange(0, now + 1, 7) * HOUR
    assert whole.at(at) == pytest.approx(known.at(at))
