"""Verdicts on behaviour against a walk over each group, and at the very limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.cleaning import behaviour
from events.cleaning.behaviour import automated
from events.cleaning.schema import EVENT_TYPES

VIEW, LIKE = EVENT_TYPES.index("view"), EVENT_TYPES.index("like")


def verdict(*events):
    """(seconds, type, watched seconds) of one user, with another one beside it who does nothing odd."""
    rows = [(0, *event) for event in events] + [(1, 0.0, LIKE, np.nan)]
    group, time, kind, watch = zip(*rows, strict=True)
    found = automated(np.array(group), np.array(time), np.array(kind, np.uint8), np.array(watch), groups=2)
    assert not found[1]
    return bool(found[0])


def test_a_burst_is_one_event_more_than_fingers_can():
    step = behaviour.BURST_S / behaviour.BURST_EVENTS
    assert not verdict(*((number * step, LIKE, np.nan) for number in range(behaviour.BURST_EVENTS)))
    assert verdict(*((number * step * 0.99, LIKE, np.nan) for number in range(behaviour.BURST_EVENTS + 1)))
    assert not verdict(*((number * step * 1.01, LIKE, np.nan) for number in range(behaviour.BURST_EVENTS * 5)))


def test_a_run_that_looks_at_nothing_is_a_program_and_one_look_breaks_it():
    blind = [(float(number), VIEW, 0.0) for number in range(behaviour.BLIND_RUN)]
    assert verdict(*blind)
    assert not any(verdict(*blind[missing:]) for missing in range(1, len(blind) + 1))
    looked = [*blind[:25], (24.5, VIEW, 1.0), *blind[25:]]
    assert not verdict(*looked)


def test_views_that_say_nothing_are_no_blind_ones():
    assert not verdict(*((float(number), VIEW, np.nan) for number in range(behaviour.BLIND_RUN * 2)))


def test_an_empty_log_has_no_programs():
    nothing = np.empty(0)
    assert automated(nothing.astype(int), nothing, nothing.astype(np.uint8), nothing, groups=0).tolist() == []


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 12).map(float),
        st.sampled_from([VIEW, LIKE]),
        st.sampled_from([np.nan, 0.0, 1.0]),
    ),
    max_size=60,
)


def plain(events, groups):
    found = []
    for one in range(groups):
        mine = sorted((time, kind, watch) for who, time, kind, watch in events if who == one)
        times = [time for time, *_ in mine]
        burst = any(sum(start <= time <= start + 2.0 for time in times) > 6 for start in times)
        dwells = sorted((time, watch) for time, kind, watch in mine if kind == VIEW and watch == watch)
        marks = "".join("0" if watch == 0 else "1" for _, watch in dwells)
        found.append(burst or "000" in marks)
    return found


@given(EVENTS, st.randoms(use_true_random=False))
def test_equals_the_walk_in_any_order(events, chance):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("BURST_EVENTS", 6), ("BURST_S", 2.0), ("BLIND_RUN", 3)):
            patch.setattr(behaviour, name, value)
        chance.shuffle(events)
        columns = [np.array(column) for column in zip(*events, strict=True)] if events else [np.empty(0)] * 4
        group, time, kind, watch = columns
        found = automated(group.astype(int), time, kind.astype(np.uint8), watch.astype(float), groups=3)
        assert found.tolist() == plain(events, 3)
