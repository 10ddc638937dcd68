import datetime

import numpy as np
import pytest

from features.extraction.definitions import AGE_LIMIT_S
from features.extraction.temporal import age_s, clock_columns, offset_s, zone_of


def test_midnight_has_no_seam():
    before, after = clock_columns(86_400.0 * 7 - 1), clock_columns(86_400.0 * 7 + 1)
    for name in before:
        assert before[name][0] == pytest.approx(after[name][0], abs=1e-3)


def test_monday_midnight_is_the_top_of_both_circles():
    monday = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC).timestamp()
    columns = {name: float(value[0]) for name, value in clock_columns(monday).items()}
    assert columns == pytest.approx({"hour_sin": 0, "hour_cos": 1, "weekday_sin": 0, "weekday_cos": 1}, abs=1e-9)


def test_ages_are_cut_to_nothing_and_thirty_days():
    assert age_s(np.array([10.0, 0.0, -1e9]), 5.0).tolist() == [0.0, 5.0, AGE_LIMIT_S]


def test_summer_time_moves_the_clock_of_a_named_zone():
    berlin = zone_of("Europe/Berlin")
    winter, summer = (datetime.datetime(2026, month, 10, tzinfo=datetime.UTC).timestamp() for month in (1, 7))
    assert (offset_s(berlin, winter), offset_s(berlin, summer)) == (3600.0, 7200.0)


@pytest.mark.parametrize(
    ("name", "hours"), [("+05:30", 5.5), ("-0800", -8.0), ("UTC+2", 2.0), ("GMT-11", -11.0), ("Asia/Kathmandu", 5.75)]
)
def test_zones_are_named_or_offsets(name, hours):
    assert offset_s(zone_of(name), 1.79e9) == hours * 3600


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "+99:00", "../../etc/passwd", "/etc/passwd", "x" * 1000, "a\0b"])
def test_what_is_no_zone_is_none(name):
    assert zone_of(name) is None
