"""Funnels: repeated steps, wrong orders, equal moments, and against every way of choosing events."""

import itertools

import numpy as np
import pytest

from dashboards.stats.funnel import funnel, reached


def of(rows, steps, within_s=100.0, **more):
    """Users with how many steps each reached, from (user, kind, at)."""
    user, kind, at = (np.array(column) for column in zip(*rows, strict=True))
    codes, took = reached(user, kind, at.astype(float), steps, within_s=within_s, **more)
    return {code: int((~np.isnan(row)).sum()) for code, row in zip(codes.tolist(), took, strict=True)}


def test_the_same_step_twice_needs_two_events():
    assert of([(1, 5, 0)], [5, 5]) == {1: 1}
    assert of([(1, 5, 0), (1, 5, 3)], [5, 5]) == {1: 2}


def test_what_comes_in_the_wrong_order_leads_nowhere():
    assert of([(1, 6, 0), (1, 5, 1)], [5, 6]) == {1: 1}
    assert of([(1, 6, 0)], [5, 6]) == {}


def test_of_equal_moments_the_earlier_step_comes_first():
    assert of([(1, 7, 4), (1, 6, 4), (1, 5, 4)], [5, 6, 7]) == {1: 3}


def test_a_late_beginning_is_followed_where_an_early_one_is_too_old():
    assert of([(1, 5, 0), (1, 5, 95), (1, 6, 120)], [5, 6], within_s=50) == {1: 2}
    assert of([(1, 5, 0), (1, 6, 120)], [5, 6], within_s=50) == {1: 1}


def test_who_begins_after_the_range_is_not_in_it():
    assert of([(1, 5, 50), (2, 5, 9), (2, 6, 60)], [5, 6], begin_before=50.0) == {2: 2}


def test_counts_and_medians():
    took = np.array([[0.0, 2.0], [0.0, 6.0], [0.0, np.nan]])
    found = funnel(took)
    assert (found.users, found.median_s) == ((3, 2), (0.0, 4.0))
    assert funnel(np.empty((0, 2))).median_s == (None, None)


def best(events, steps, within_s):
    """How far the best choice of events leads, by trying all of them."""
    ranked = sorted(events, key=lambda each: (each[1], steps.index(each[0]) if each[0] in steps else 9))
    for length in range(len(steps), 0, -1):
        for chosen in itertools.combinations(ranked, length):
            if [kind for kind, _ in chosen] == steps[:length] and chosen[-1][1] - chosen[0][1] <= within_s:
                return length
    return 0


@pytest.mark.parametrize("seed", range(60))
def test_nobody_is_missed(seed):
    rng = np.random.default_rng(seed)
    steps = [[5, 6, 7], [5, 6, 5], [5, 5, 6]][seed % 3]
    events = [(int(rng.integers(5, 8)), int(rng.integers(0, 12))) for _ in range(8)]
    expected = best(events, steps, 6) if len(set(steps)) == len(steps) else None
    found = of([(1, kind, at) for kind, at in events], steps, within_s=6).get(1, 0)
    if expected is None:
        # Equal moments of a repeated type have no order of steps: spread them.
        spread = [(kind, 10 * at + place) for place, (kind, at) in enumerate(events)]
        expected = best(spread, steps, 60)
        found = of([(1, kind, at) for kind, at in spread], steps, within_s=60).get(1, 0)
    assert found == expected
