"""The geometry of the line charts."""

from datetime import date

from dashboards.charts import HEIGHT, MARGIN, WIDTH, line_chart

DAYS = [date(2026, 3, n) for n in range(1, 5)]


def test_the_highest_value_touches_the_top_and_zero_the_bottom():
    chart = line_chart(list(zip(DAYS, [0.0, 5.0, 10.0, 5.0], strict=True)))
    heights = [y for _, y, _, _ in chart.dots]
    assert heights[0] == HEIGHT - MARGIN
    assert heights[2] == MARGIN
    assert chart.dots[-1][0] == WIDTH - MARGIN
    assert chart.high == 10.0


def test_a_missing_day_is_a_gap_and_not_a_zero():
    chart = line_chart(list(zip(DAYS, [1.0, 2.0, None, 4.0], strict=True)))
    assert len(chart.segments) == 1
    assert len(chart.dots) == 3


def test_the_running_day_is_joined_by_a_dashed_line_only():
    chart = line_chart(list(zip(DAYS, [1.0, 2.0, 3.0, 1.0], strict=True)), incomplete=DAYS[-1])
    assert len(chart.segments[0].split()) == 3
    assert len(chart.pending.split()) == 2


def test_a_series_without_any_value_has_no_chart():
    assert line_chart([(day, None) for day in DAYS]) is None
    assert line_chart([]) is None


def test_a_series_of_zeros_lies_on_the_axis():
    chart = line_chart([(day, 0.0) for day in DAYS])
    assert {y for _, y, _, _ in chart.dots} == {HEIGHT - MARGIN}
