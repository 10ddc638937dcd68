import numpy as np

from features.extraction.definitions import COUNTER_COLUMN, COUNTERS
from features.extraction.snapshot import UNKNOWN, popularity
from tests.features.logs import snapshot_of


def test_ids_are_found_by_row_and_unknown_ones_have_none():
    snapshot = snapshot_of(5)
    assert snapshot.rows(["c003", "nope", "c000"]).tolist() == [3, UNKNOWN, 0]
    assert snapshot.creator_codes(["k2", "nobody"]).tolist() == [2, UNKNOWN]
    assert snapshot.rows([]).tolist() == []


def test_popularity_is_engaged_people_per_day_and_never_negative():
    counters = np.zeros((3, len(COUNTERS)), np.float32)
    counters[0, COUNTER_COLUMN["long_views", "1d"]] = 4
    counters[1, COUNTER_COLUMN["shares", "7d"]] = 7
    counters[2, COUNTER_COLUMN["hides", "1d"]] = 2
    assert popularity(counters).tolist() == [4.0, 2.0, 0.0]
