"""Where the lines of a trend chart stand."""

from datetime import timedelta

import numpy as np
import pytest

from features.charts import HEIGHT, MARGIN, WIDTH, band_chart, series_rows
from features.extraction.trends import Verdicts
from features.trends import TrendSeries
from tests.features.clips import NOW


def series(observed, expected, high, z=None) -> TrendSeries:
    n = len(observed)
    facts = Verdicts(
        z=np.zeros(n) if z is None else np.array(z, float), observed=np.array(observed, float),
        expected=np.array(expected, float), low=np.zeros(n), high=np.array(high, float),
        people=np.array(observed, np.int64), against=np.ones(n, np.int64),
    )  # fmt: skip
    start = NOW.replace(hour=23, minute=0)
    return TrendSeries("tag", "sea", tuple(start + timedelta(hours=at) for at in range(n)), facts)


def places(points: str) -> list[tuple[float, float]]:
    return [tuple(map(float, each.split(","))) for each in points.split()]


def test_lines_run_from_zero_to_the_top():
    chart = band_chart(series([0, 100, 50], [10, 10, 10], [20, 20, 20], z=[0, 9, 4]))
    top = pytest.approx(108)
    assert chart.top == top
    inner = HEIGHT - 2 * MARGIN
    assert places(chart.observed) == [
        (MARGIN, HEIGHT - MARGIN),
        (WIDTH / 2, pytest.approx(HEIGHT - MARGIN - inner * 100 / 108, abs=0.1)),
        (WIDTH - MARGIN, pytest.approx(HEIGHT - MARGIN - inner * 50 / 108, abs=0.1)),
    ]
    assert len(chart.rising) == 2
    assert [(tick.x, tick.label) for tick in chart.ticks] == [(WIDTH / 2, "21 Nov")]
    assert chart.summary == "Now 50 people where 10.0 were to be expected, z 4.0; at most 100 in the last 3 hours."


def test_a_band_beyond_the_chart_is_cut():
    chart = band_chart(series([5, 6], [4, 4], [1e6, 1e6]))
    assert min(y for _, y in places(chart.band)) == MARGIN


def test_a_single_window_and_none_at_all_are_no_error():
    assert places(band_chart(series([0], [0], [0])).observed) == [(MARGIN, HEIGHT - MARGIN)]
    assert band_chart(series([], [], [])) is None
    assert series_rows(series([], [], [])) == []


def test_the_table_has_the_newest_window_first():
    rows = series_rows(series([1, 20], [1, 2], [5, 6], z=[0, 4]))
    assert [(row.observed, row.expected, row.trending) for row in rows] == [(20, 2, True), (1, 1, False)]
    assert rows[0].hour > rows[1].hour
