"""Sessionization against the plain loop that defines it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from events.cleaning.sessions import SESSION_CAP_S, SESSION_GAP_S, session_bounds, sessionize


def plain(events):
    """The definition: walk each user's events in time order and cut at a gap or at the cap."""
    numbered, number = {}, -1
    for user in sorted({u for u, _, _ in events}):
        start = last = None
        for _, when, index in sorted(e for e in events if e[0] == user):
            if last is None or when - last > SESSION_GAP_S or when - start >= SESSION_CAP_S:
                number, start = number + 1, when
            numbered[index], last = number, when
    return [numbered[i] for i in range(len(events))]


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 120).map(lambda n: n * 600.0) | st.floats(0, 300_000)), max_size=80
    )
)
def test_sessions_equal_the_plain_loop_in_any_order(pairs):
    events = [(user, when, index) for index, (user, when) in enumerate(pairs)]
    user = np.array([u for u, _, _ in events], np.int32)
    when = np.array([t for _, t, _ in events], np.float64)
    assert sessionize(user, when).tolist() == plain(events)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 1), st.integers(0, 300_000_000_000)), max_size=60),
    st.booleans(),
)
def test_devices_and_exact_times_equal_the_plain_loop_in_any_order(rows, ordered):
    rows = sorted(rows, key=lambda row: row[2]) if ordered else rows
    events = [((user, device), when / 1e6, index) for index, (user, device, when) in enumerate(rows)]
    user, device, when = (np.array([row[at] for row in rows], kind) for at, kind in enumerate(("i4", "i4", "M8[us]")))
    assert sessionize(user, when, device=device).tolist() == plain(events)


def test_to_the_microsecond_a_gap_splits_when_it_is_longer_and_not_before():
    start = np.datetime64("2026-11-23T10:00:00.000001")
    for extra, sessions in ((0, [0, 0]), (1, [0, 1])):
        when = np.array([start, start + np.timedelta64(1_800_000_000 + extra, "us")])
        assert sessionize(np.zeros(2, np.int32), when).tolist() == sessions


def test_codes_too_large_to_share_a_number_with_the_place_are_sorted_all_the_same():
    user, device = np.array([2**31 - 1, 0, 2**31 - 1], np.int32), np.array([2**31 - 3, 5, 2**31 - 3], np.int32)
    assert sessionize(user, np.array([0.0, 1.0, 2.0]), device=device).tolist() == [1, 0, 1]


def test_a_gap_of_exactly_thirty_minutes_does_not_split():
    assert sessionize(np.zeros(2, np.int32), np.array([0.0, 1800.0])).tolist() == [0, 0]


def test_a_user_who_never_pauses_is_cut_after_a_day():
    when = np.arange(0, 3 * 86_400, 900, dtype=np.float64)
    assert sessionize(np.zeros(len(when), np.int32), when).max() == 2


def test_a_session_lasts_until_the_end_of_its_last_watch():
    sessions = np.array([0, 0, 1])
    start, duration = session_bounds(
        sessions, np.array([10.0, 40.0, 99.0]), np.array([np.nan, 12.5, np.nan], np.float32)
    )
    assert start.tolist() == [10.0, 99.0]
    assert duration.tolist() == [42.5, 0.0]


def test_an_empty_log_has_no_sessions():
    none = np.empty(0)
    assert len(sessionize(none.astype(np.int32), none)) == 0
    assert [len(part) for part in session_bounds(none.astype(np.int64), none, none.astype(np.float32))] == [0, 0]
