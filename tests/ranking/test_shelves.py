"""What the stages are told of a snapshot."""

from dataclasses import replace

import numpy as np

from features.embeddings import behaviour, word2vec
from ranking.shelves import shelf_of, successors_of
from tests.features.logs import snapshot_of


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


def test_the_index_of_a_shelf_gives_only_what_is_allowed():
    snapshot = snapshot_of(30)
    shelf = shelf_of(snapshot)
    allowed = np.ones(30, np.bool_)
    allowed[[4, 5]] = False
    rows, _ = shelf.nearest(snapshot.embedding[4], 28, allowed)
    assert sorted(rows.tolist()) == [row for row in range(30) if row not in {4, 5}]
