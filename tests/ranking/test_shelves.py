"""What the stages and exploration are told of a snapshot."""

from dataclasses import replace

import numpy as np
import pytest

from features import store
from features.embeddings import behaviour, word2vec
from features.extraction.definitions import COUNTER_COLUMN
from ranking import shelves
from ranking.shelves import Stock, belief_of, current_stock, newcomers_of, shelf_of, successors_of
from tests.features.logs import snapshot_of

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
    assert sorted(newcomers_of(found, belief_of(found)).tolist()) == list(range(10))
    known = counted(found, 500.0, 100.0)
    assert not len(newcomers_of(known, belief_of(known)))


def test_in_a_catalogue_of_new_contents_those_that_fewest_have_met_count_as_new(snapshot):
    found = store.snapshot()
    found = replace(counted(found, 5.0, 1.0), upload_timestamp=np.full(64, found.until - 3_600.0))
    found.counters[:8, [EXPOSURES, LONG_VIEWS]] = 0.0
    found.upload_timestamp[50:] += 60.0
    belief = belief_of(found)
    assert set(newcomers_of(found, belief).tolist()) == {*range(8), *range(50, 54)}
    stock = Stock(found, shelf_of(found))
    assert stock.new.sum() == 12
    assert stock.due(50).rows.tolist() == newcomers_of(found, belief).tolist()
    worth = [1.0] * 8 + [1.0 / 6.0] * 4
    np.testing.assert_allclose(stock.due(50).reach, np.cumsum(worth))
    np.testing.assert_allclose(stock.due(50).need[stock.due(50).rows], worth, rtol=1e-6)
    assert (stock.due(50).need > 0.0).sum() == 12
    assert stock.due(1).rows.tolist() == stock.due(50).rows[:8].tolist()


def test_a_stock_knows_as_many_contents_as_its_shelf(snapshot):
    stock = current_stock()
    assert len(stock.new) == len(stock.belief.trials) == len(stock.shelf) == 64


def sequences():
    """Walks around a circle of ten contents, and rare ones between 10 and 13."""
    user = np.repeat(np.arange(40), 10)
    row = (np.arange(400) + user) % 10
    return np.append(user, np.repeat(40, 8)), np.append(row, [10, 11, 12, 13] * 2)


def test_without_a_sequential_model_nothing_follows():
    assert successors_of(snapshot_of(14)) is None


def test_vectors_answer_where_the_sequential_model_knows_none_of_the_positives():
    user, row = sequences()
    model = behaviour.fit(user, row, 14, max_items=10)
    vectors = word2vec.fit(user, row, 14)
    alone = successors_of(snapshot_of(14, sequential=model))
    both = successors_of(replace(snapshot_of(14, sequential=model), word_vectors=vectors))
    known, unknown = np.array([3, 12]), np.array([11, 12])
    assert np.array_equal(both(known), model.scores(known))
    assert not alone(unknown).any()
    assert np.array_equal(both(unknown), vectors.scores(unknown))
    assert both(unknown).any()


def test_vectors_are_compared_with_those_of_the_most_popular_contents_only(monkeypatch):
    user, row = sequences()
    model, vectors = behaviour.fit(user, row, 14, max_items=10), word2vec.fit(user, row, 14)
    popularity = np.arange(14, dtype=np.float32)
    snapshot = replace(snapshot_of(14, sequential=model), word_vectors=vectors, popularity=popularity)
    monkeypatch.setattr(shelves, "COMPARED", 3)
    # The least popular of these still says where the user is.
    found, everything = successors_of(snapshot)(np.array([10])), vectors.scores(np.array([10]))
    assert np.flatnonzero(found).tolist() == [11, 12, 13]
    assert found[11:] == pytest.approx(everything[11:], rel=1e-5)


def test_the_index_of_a_shelf_gives_only_what_is_allowed():
    snapshot = snapshot_of(30)
    shelf = shelf_of(snapshot)
    allowed = np.ones(30, np.bool_)
    allowed[[4, 5]] = False
    rows, _ = shelf.nearest(snapshot.embedding[4], 28, allowed)
    assert sorted(rows.tolist()) == [row for row in range(30) if row not in {4, 5}]
