import numpy as np
import pytest

from features.extraction.content import content_columns
from features.extraction.definitions import COUNTER_COLUMN, COUNTERS, NAMES
from tests.features.logs import HOUR, T0


def columns_of(counters, total=None, *, n=2, duration_s=20.0):
    return content_columns(
        counters, counters.sum(axis=0) if total is None else total, duration_s=np.full(n, duration_s, np.float32),
        upload_timestamp=np.full(n, T0 - 48 * HOUR), now=T0, catalogue_size=n,
    )  # fmt: skip


def counters_of(**signals):
    counters = np.zeros((2, len(COUNTERS)), np.float32)
    for name, values in signals.items():
        for label in ("1h", "1d", "7d"):
            counters[:, COUNTER_COLUMN[name, label]] = values
    return counters


def test_all_features_of_the_block_are_computed():
    assert columns_of(counters_of()).keys() == set(NAMES["content"])


def test_a_rate_is_pulled_to_the_mean_of_all_contents():
    columns = columns_of(counters_of(exposures=[100, 0], long_views=[80, 0]))
    mean = (80 + 100 * 0.3) / (100 + 100)
    assert columns["content_long_rate_7d"].tolist() == pytest.approx([(80 + 20 * mean) / (100 + 20), mean])


def test_in_an_empty_log_every_rate_is_its_prior():
    columns = columns_of(counters_of())
    assert columns["content_long_rate_1h"].tolist() == pytest.approx([0.3, 0.3])
    assert columns["content_refusal_rate_7d"].tolist() == pytest.approx([0.001, 0.001])
    assert columns["content_popularity"].tolist() == [0.0, 0.0]


def test_popularity_compares_with_the_mean_content():
    columns = columns_of(counters_of(long_views=[30, 10]))
    assert columns["content_popularity"].tolist() == pytest.approx(np.log1p([30 / 20, 10 / 20]).tolist())


def test_a_content_of_the_last_day_has_an_upward_trend():
    rising = counters_of()
    rising[:, COUNTER_COLUMN["exposures", "1d"]] = [50, 10]
    rising[:, COUNTER_COLUMN["exposures", "7d"]] = [50, 70]
    trend = columns_of(rising)["content_trend"]
    assert trend[0] > 0
    assert trend[1] == pytest.approx(0.0)


def test_age_and_freshness_follow_from_the_upload_and_an_unknown_duration_is_typical():
    columns = columns_of(counters_of(), duration_s=np.nan)
    assert columns["content_age"].tolist() == pytest.approx([np.log1p(48)] * 2)
    assert columns["content_freshness"].tolist() == [0.5, 0.5]
    assert columns["content_duration"].tolist() == pytest.approx([np.log1p(15.0)] * 2)


def test_each_row_may_have_its_own_moment_and_totals():
    counters = counters_of(exposures=[100, 10], long_views=[80, 1])
    total = np.stack([counters.sum(axis=0), 3 * counters.sum(axis=0)])
    both = content_columns(
        counters, total, duration_s=np.full(2, 20, np.float32), upload_timestamp=np.full(2, T0 - HOUR),
        now=np.array([T0, T0 + HOUR]), catalogue_size=2,
    )  # fmt: skip
    for row in range(2):
        alone = content_columns(
            counters[row : row + 1], total[row], duration_s=np.full(1, 20, np.float32),
            upload_timestamp=np.full(1, T0 - HOUR), now=T0 + row * HOUR, catalogue_size=2,
        )  # fmt: skip
        for name, values in alone.items():
            assert both[name][row] == pytest.approx(values[0])
