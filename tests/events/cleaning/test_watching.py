"""Watched seconds against a walk over the showings of each group, one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.cleaning.schema import EVENT_TYPES
from events.cleaning.watching import bounded_watch_s, is_showing


def plain(group, time, watch, showing):
    """The rule as one says it."""
    order = sorted((row for row in range(len(group)) if showing[row]), key=lambda row: (group[row], time[row], row))
    bounded = list(watch)
    for at, row in enumerate(order):
        pauses = []
        for other in (at - 1, at + 1):
            near = 0 <= other < len(order) and group[order[other]] == group[row]
            pauses.append(abs(time[order[other]] - time[row]) if near else float("inf"))
        if bounded[row] > max(pauses) + 2:
            bounded[row] = max(pauses) + 2
    return bounded


ROWS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 50).map(float),
        st.one_of(st.just(float("nan")), st.integers(0, 80).map(float)),
        st.booleans(),
    ),
    max_size=40,
)


@given(ROWS)
def test_equals_the_walk(rows):
    group, time, watch, showing = (
        (np.array(column) for column in zip(*rows, strict=True)) if rows else [np.empty(0)] * 4
    )
    showing = showing.astype(bool)
    found = bounded_watch_s(group, time, watch, showing=showing)
    np.testing.assert_array_equal(found, plain(group.tolist(), time.tolist(), watch.tolist(), showing.tolist()))


def watched(*events):
    """(seconds, event type, watched seconds) of one user."""
    time, kind, watch = zip(*events, strict=True)
    kinds = np.array([EVENT_TYPES.index(name) for name in kind], np.uint8)
    group = np.zeros(len(time), np.int32)
    return bounded_watch_s(group, np.array(time), np.array(watch, np.float32), showing=is_showing(kinds)).tolist()


@pytest.mark.parametrize("dated", [0.0, 9.0], ids=["by its beginning", "by its end"])
def test_an_honest_view_stays_whole_however_it_is_dated(dated):
    nothing = float("nan")
    events = [
        (0.0, "impression", nothing),
        (dated, "view", 9.0),
        (3.0, "like", nothing),
        (9.0, "complete_view", nothing),
        (9.4, "impression", nothing),
        (10.0, "view", 0.6),
    ]
    assert watched(*events)[1] == 9.0


def test_a_view_that_claims_an_hour_in_a_second_is_cut():
    assert watched((0.0, "view", 1.0), (1.0, "view", 3600.0), (1.5, "view", 1.0))[1] == 3.0
