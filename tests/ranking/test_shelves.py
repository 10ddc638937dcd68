"""What exploration knows of the contents of a snapshot."""

from dataclasses import replace

import numpy as np
import pytest

from features import store
from features.extraction.definitions import COUNTER_COLUMN
from ranking.shelves import belief_of, current_stock, new_contents

EXPOSURES, LONG_VIEWS = COUNTER_COLUMN["exposures", "7d"], COUNTER_COLUMN["long_views", "7d"]


def counted(found, exposures, long_views):
    """The snapshot with the same people at every content."""
    counters = np.zeros_like(found.counters)
    counters[:, EXPOSURES], counters[:, LONG_VIEWS] = exposures, long_views
    return replace(found, counters=counters)


def test_rates_come_from_the_weeks_counters(snapshot):
    found = counted(store.snapshot(), 200.0, 50.0)
    belief = belief_of(found)
    assert belief.prior == pytest.approx((64 * 50 + 20 * 0.3) / (64 * 200 + 20))
    assert belief.mean(np.arange(3)) == pytest.approx([0.25] * 3, abs=0.001)


@pytest.mark.parametrize(("exposures", "long_views"), [(0.0, 0.0), (0.0, 5.0), (5.0, 5.0)])
def test_counters_that_do_not_add_up_still_give_rates(snapshot, exposures, long_views):
    belief = belief_of(counted(store.snapshot(), exposures, long_views))
    assert 0.0 < belief.prior < 1.0
    assert np.isfinite(belief.draw(np.random.default_rng(1), np.arange(64), 4)).all()


def test_new_is_what_was_uploaded_this_week_and_met_by_few(snapshot):
    found = store.snapshot()
    age_days = np.full(64, 20.0)
    age_days[:10] = 1.0
    found = replace(counted(found, 5.0, 1.0), upload_timestamp=found.until - 86_400.0 * age_days)
    assert np.flatnonzero(new_contents(found, belief_of(found))).tolist() == list(range(10))
    known = counted(found, 500.0, 100.0)
    assert not new_contents(known, belief_of(known)).any()


def test_in_a_catalogue_of_new_contents_none_counts_as_new(snapshot):
    found = store.snapshot()
    found = replace(counted(found, 5.0, 1.0), upload_timestamp=np.full(64, found.until - 3_600.0))
    assert not new_contents(found, belief_of(found)).any()


def test_a_stock_knows_as_many_contents_as_its_shelf(snapshot):
    stock = current_stock()
    assert len(stock.new) == len(stock.belief.trials) == len(stock.shelf) == 64
