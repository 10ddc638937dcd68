import numpy as np
import pytest

from features.extraction.content import content_block
from features.extraction.definitions import COUNTER_COLUMN, COUNTERS, NAMES, WATCH_BINS, WATCH_BUCKETS
from features.extraction.population import Population, Receptions

UNTIL = 3600.0
NOBODY = Population.empty().at(-1)


def columns_of(
    counters, *, duration_s=20.0, creator=(0, 0), category=(0, -1), uploaded=0.0, receptions=NOBODY, rows=None
):
    n = len(counters)
    block = content_block(
        counters, creator=np.array(creator, np.int32), creators=max(creator) + 1,
        category=np.array(category, np.int32), categories=max(category) + 1,
        duration_s=np.full(n, duration_s, np.float32),
        upload_timestamp=np.broadcast_to(uploaded, n), until=UNTIL, receptions=receptions, rows=rows,
    )  # fmt: skip
    return dict(zip(NAMES["content"], block.T, strict=True))


def counters_of(n=2, **signals):
    counters = np.zeros((n, len(COUNTERS)), np.float32)
    for name, values in signals.items():
        for label in ("1h", "1d", "7d"):
            counters[:, COUNTER_COLUMN[name, label]] = values
    return counters


def test_a_rate_is_pulled_to_the_mean_of_all_contents():
    columns = columns_of(counters_of(exposures=[100, 0], long_views=[80, 0]))
    mean = (80 + 100 * 0.3) / (100 + 100)
    assert columns["content_long_rate_7d"].tolist() == pytest.approx([(80 + 20 * mean) / (100 + 20), mean])


def test_in_an_empty_log_every_rate_is_its_prior():
    columns = columns_of(counters_of())
    assert columns["content_long_rate_1h"].tolist() == pytest.approx([0.3, 0.3])
    assert columns["content_report_rate_7d"].tolist() == pytest.approx([0.0005, 0.0005])
    assert columns["creator_like_rate_1d"].tolist() == pytest.approx([0.03, 0.03])
    assert columns["content_popularity"].tolist() == [0.0, 0.0]
    assert columns["content_watch_quantile"].tolist() == [0.5, 0.5]


def test_creator_and_category_are_the_sums_of_their_contents():
    columns = columns_of(counters_of(3, exposures=[10, 30, 5], likes=[1, 3, 5]), creator=(0, 0, 1), category=(1, 0, -1))
    mean = (9 + 100 * 0.03) / (45 + 100)
    assert columns["creator_like_rate_7d"].tolist() == pytest.approx(
        [(4 + 20 * mean) / 60, (4 + 20 * mean) / 60, (5 + 20 * mean) / 25]
    )
    assert columns["category_exposures_7d"].tolist() == pytest.approx(np.log1p([10, 30, 0]).tolist())
    assert columns["category_like_rate_7d"][2] == pytest.approx(mean), "no category, no news"
    assert columns["creator_contents"].tolist() == pytest.approx(np.log1p([2, 2, 1]).tolist())


def test_popularity_compares_with_the_mean_content():
    columns = columns_of(counters_of(long_views=[30, 10]))
    assert columns["content_popularity"].tolist() == pytest.approx(np.log1p([30 / 20, 10 / 20]).tolist())


def test_contents_uploaded_after_the_moment_of_the_counters_are_not_counted():
    columns = columns_of(counters_of(3, long_views=[30, 10, 0]), creator=(0, 0, 0), category=(0, 0, 0),
                         uploaded=[UNTIL - 1, UNTIL, UNTIL + 1])  # fmt: skip
    assert columns["creator_contents"].tolist() == pytest.approx(np.log1p([2, 2, 2]).tolist())
    assert columns["content_popularity"].tolist() == pytest.approx(np.log1p([30 / 20, 10 / 20, 0]).tolist())


def test_a_content_of_the_last_day_has_an_upward_trend():
    rising = counters_of()
    rising[:, COUNTER_COLUMN["exposures", "1d"]] = [50, 10]
    rising[:, COUNTER_COLUMN["exposures", "7d"]] = [50, 70]
    trend = columns_of(rising)["content_trend"]
    assert trend[0] > 0
    assert trend[1] == pytest.approx(0.0)


def test_the_mean_position_is_pulled_to_that_of_all():
    columns = columns_of(counters_of(positions=[500, 0], placed=[100, 0]))
    mean = 500 / 200
    assert columns["content_position"].tolist() == pytest.approx(np.log1p([(500 + 20 * mean) / 120, mean]).tolist())


def test_an_unknown_duration_is_typical():
    assert columns_of(counters_of(), duration_s=np.nan)["content_duration"].tolist() == pytest.approx(
        [np.log1p(15)] * 2
    )


def test_watching_longer_than_others_watch_such_clips_is_a_high_quantile():
    # In the bucket of 18..30 s, everybody watches 2.0 to 2.8 s.
    table = np.zeros((WATCH_BUCKETS, WATCH_BINS), np.float32)
    table[3, 5] = 10_000.0
    receptions = Receptions.of(table.reshape(-1), {})
    columns = columns_of(counters_of(views=[400, 400], watch_s=[400 * 9.0, 400 * 1.0]), receptions=receptions)
    assert columns["content_watch_quantile"].tolist() == pytest.approx([(400 + 10) / 420, 10 / 420], abs=0.01)


def test_asking_for_some_rows_gives_the_bits_of_the_whole():
    rng = np.random.default_rng(3)
    counters = rng.uniform(0, 30, (40, len(COUNTERS))).astype(np.float32)
    creator, category = rng.integers(-1, 5, 40), rng.integers(-1, 3, 40)
    whole = columns_of(counters, creator=creator, category=category)
    rows = rng.permutation(40)[:11]
    some = columns_of(counters, creator=creator, category=category, rows=rows)
    for name, values in some.items():
        assert np.array_equal(values, whole[name][rows]), name
