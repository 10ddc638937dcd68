"""The calendar of a reporting time zone."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboards.stats.periods import DAY, Grain, before, first_day, hours_of, midnight, next_day, periods

NEW_YORK = ZoneInfo("America/New_York")
some_day = st.dates(date(2020, 1, 1), date(2030, 12, 31))


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 8), 23), (date(2026, 11, 1), 25), (date(2026, 3, 9), 24)])
def test_a_day_is_as_long_as_the_clocks_make_it(day, hours):
    starts = hours_of(day, NEW_YORK)
    assert len(starts) == hours
    assert starts[0] == midnight(day, NEW_YORK)
    assert midnight(day + DAY, NEW_YORK) - starts[0] == timedelta(hours=hours)


def test_a_zone_with_a_broken_offset_has_hours_of_its_own():
    assert hours_of(date(2026, 3, 2), ZoneInfo("Asia/Kathmandu"))[0] == datetime(2026, 3, 1, 18, 15, tzinfo=UTC)


@settings(deadline=None)
@given(some_day, st.integers(0, 70), st.sampled_from(list(Grain)), st.sampled_from(["UTC", "America/New_York"]))
def test_periods_lie_against_each_other_and_hold_the_range(first, days, grain, zone):
    last = first + timedelta(days=days)
    found = periods(first, last, grain, ZoneInfo(zone))
    assert all(one.end == other.start for one, other in pairwise(found))
    assert found[0].first <= first
    assert found[-1].last >= last
    assert found[0].first == first_day(first, grain)
    assert found[-1].last + DAY == next_day(first_day(last, grain), grain)


@settings(deadline=None)
@given(some_day, st.integers(0, 400), st.sampled_from([Grain.DAY, Grain.WEEK, Grain.MONTH]))
def test_the_range_before_has_as_many_periods_on_the_same_weekdays_and_does_not_overlap(first, days, grain):
    last = first + timedelta(days=days)
    start, end = before(first, last, grain)
    here, there = periods(first, last, grain, ZoneInfo("UTC")), periods(start, end, grain, ZoneInfo("UTC"))
    assert len(there) == len(here)
    assert there[-1].end <= here[0].start
    if grain is not Grain.MONTH:
        assert start.weekday() == first_day(first, grain).weekday()
