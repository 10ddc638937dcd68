"""The geometry of the charts."""

from datetime import UTC, date, datetime, timedelta

import pytest

from dashboards.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, active_days, columns, line_chart, nice_top
from dashboards.kpis import BY_KEY
from dashboards.series import Group, KpiSeries, Point
from dashboards.stats.periods import Grain, Period

FIRST = datetime(2026, 3, 1, tzinfo=UTC)


def points(*values, running=False):
    found = []
    for place, value in enumerate(values):
        start = FIRST + timedelta(days=place)
        complete = not (running and place == len(values) - 1)
        period = Period(start, start + timedelta(days=1), start.date(), start.date())
        found.append(Point(period, value, complete, False))
    return tuple(found)


def chart(*values, before=(), running=False, dimension=None, more=()):
    groups = (Group("all", points(*values, running=running), None), *(Group(*each, None) for each in more))
    earlier = (Group("all", points(*before), None),) if before else ()
    last = date(2026, 3, len(values) or 1)
    return line_chart(KpiSeries(BY_KEY["dau"], Grain.DAY, dimension, FIRST.date(), last, groups, earlier))


def test_a_round_number_touches_the_top_and_zero_the_bottom():
    (line,) = chart(0.0, 5.0, 10.0, 5.0).lines
    middle = (HEIGHT - BOTTOM + TOP) / 2
    assert [mark.y for mark in line.marks] == [HEIGHT - BOTTOM, middle, TOP, middle]
    assert (line.marks[0].x, line.marks[-1].x) == (LEFT, WIDTH - RIGHT)
    assert [tick.label for tick in chart(0.0, 10.0).y_ticks] == ["0", "2.5", "5", "7.5", "10"]


def test_a_missing_period_is_a_gap_and_not_a_zero():
    (line,) = chart(1.0, 2.0, None, 4.0).lines
    assert len(line.runs) == 1
    assert len(line.marks) == 3


def test_the_running_period_is_joined_by_a_dashed_line_and_says_so():
    (line,) = chart(1.0, 2.0, 3.0, 1.0, running=True).lines
    assert len(line.runs[0].split()) == 3
    assert len(line.pending.split()) == 2
    assert "(incomplete)" in line.marks[-1].label


def test_the_period_before_shares_the_axis():
    both = chart(1.0, 2.0, before=(20.0, 5.0))
    assert both.y_ticks[-1].label == "20"
    assert len(both.before.marks) == 2


def test_a_breakdown_has_one_line_for_each_value_and_none_for_the_total():
    broken = chart(3.0, 4.0, dimension="country", more=[("DE", points(1.0, 1.0)), ("FR", points(2.0, 3.0))])
    assert [line.name for line in broken.lines] == ["DE", "FR"]
    assert broken.lines[0].marks[0].label == "DE, Sun 01 Mar 2026: 1 users"


def test_a_series_without_any_value_has_no_chart():
    assert chart(None, None) is None
    assert chart() is None


@pytest.mark.parametrize(("high", "top"), [(0, 1), (0.03, 0.05), (0.1, 0.1), (7, 10), (10, 10), (11, 20), (1340, 2000)])
def test_the_top_of_an_axis_is_a_round_number(high, top):
    assert nice_top(high) == pytest.approx(top)


def test_bars_stand_on_the_axis():
    bars = columns([0, 4, 8], ["a", "b", "c"], ["1", "2", "3"], summary="s").bars
    assert all(bar.y + bar.height == pytest.approx(HEIGHT - BOTTOM) for bar in bars)
    assert bars[0].height == 0
    assert bars[2].height == pytest.approx(2 * bars[1].height, rel=0.3)
    assert active_days([0, 0]) is None
    assert active_days([2, 1]).bars[0].label == "1 day: 2 users"
