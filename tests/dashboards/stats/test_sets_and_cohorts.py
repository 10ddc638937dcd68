"""Sets of users and what is counted from them, against Python's own sets."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboards.stats.returning import NO_VALUE, active_days, bracket, lifecycle, n_day, shares, unbounded
from dashboards.stats.user_sets import bits_of, count, numbers_of, packed, union, unpacked

SIZE = 16
users = st.sets(st.integers(0, 8 * SIZE - 1))
days = st.lists(users, min_size=1, max_size=6)


def bits(members):
    return bits_of(np.array(sorted(members), np.int64), SIZE)


@settings(deadline=None)
@given(users)
def test_a_set_comes_back_as_it_was_packed(members):
    numbers = np.array(list(members), np.int64)
    found = unpacked(packed(numbers), SIZE)
    assert set(numbers_of(found).tolist()) == members
    assert count(found) == len(members)
    assert packed(numbers_of(found)) == packed(numbers)


@settings(deadline=None)
@given(st.sets(st.integers(0, 2**20)))
def test_the_shorter_form_is_kept(members):
    numbers = np.array(list(members), np.int64)
    assert len(packed(numbers)) - 1 <= min(4 * len(members), max(members, default=-1) // 8 + 1)


@settings(deadline=None)
@given(days)
def test_a_union_is_everybody_of_any_day(sets):
    assert set(numbers_of(union([bits(each) for each in sets], SIZE)).tolist()) == set().union(*sets)


@settings(deadline=None)
@given(users, users, users)
def test_the_phases_are_disjoint_and_add_up(before, active, ever):
    new = active - before - ever
    found = lifecycle(bits(active), bits(before), bits(new))
    assert found.new + found.returning + found.resurrecting == len(active)
    assert found.returning == len(active & before)
    assert found.dormant == len(before - active)


def cohorts_of(sets):
    seen, found = set(), []
    for each in sets:
        found.append(each - seen)
        seen |= each
    return found


@settings(deadline=None)
@given(days, st.integers(0, 6))
def test_retention_counts_who_came_back_and_knows_what_has_not_passed(sets, complete):
    cohorts = cohorts_of(sets)
    packed_sets, packed_cohorts = [bits(each) for each in sets], [bits(each) for each in cohorts]
    exact = n_day(packed_cohorts, packed_sets, complete=complete)
    later = unbounded(packed_cohorts, packed_sets, complete=complete)
    spans = [(0, 0), (1, 2)]
    within = bracket(packed_cohorts, packed_sets, spans, complete=complete)
    for d, cohort in enumerate(cohorts):
        for n in range(len(sets)):
            if d + n < len(sets) and (n == 0 or d + n < complete):
                assert exact[d, n] == len(cohort & sets[d + n])
                assert later[d, n] == len(cohort & set().union(*sets[d + n :]))
            else:
                assert exact[d, n] == later[d, n] == NO_VALUE
        known = [cell for cell in later[d].tolist() if cell != NO_VALUE]
        assert known == sorted(known, reverse=True), "or later never rises"
        for place, (a, b) in enumerate(spans):
            passed = d + b < min(complete, len(sets))
            assert within[d, place] == (len(cohort & set().union(*sets[d + a : d + b + 1])) if passed else NO_VALUE)


def test_the_weighted_row_is_no_mean_of_percentages():
    table = np.array([[90, 45], [10, 0], [0, NO_VALUE]])
    cells, weighted = shares(table, np.array([90, 10, 0]))
    assert weighted.tolist() == [100.0, 45.0]
    assert cells[:2].tolist() == [[100.0, 50.0], [100.0, 0.0]]
    assert np.isnan(cells[2]).all(), "of nobody there is no share"


@settings(deadline=None)
@given(days)
def test_active_days_count_each_user_once(sets):
    found = active_days([bits(each) for each in sets])
    for times in range(1, len(sets) + 1):
        everybody = set().union(*sets)
        assert found[times] == sum(sum(user in each for each in sets) == times for user in everybody)
