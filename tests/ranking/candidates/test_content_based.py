"""Likeness to the taste vector, above a threshold."""

from dataclasses import replace

import numpy as np

from ranking.candidates.content_based import ContentBased
from tests.worlds import families, query

WORLD = families()
SHELF = WORLD.shelf


def test_neighbours_equal_brute_force():
    vector = SHELF.embedding[3]
    cosine = SHELF.embedding @ vector
    expected = [row for row in np.argsort(-cosine, kind="stable") if cosine[row] > 0.1][:8]
    assert ContentBased(SHELF).retrieve(query(user_vector=vector), 8).tolist() == expected


def test_what_is_no_likeness_is_left_to_other_sources():
    rows = ContentBased(SHELF, threshold=0.5).retrieve(query(user_vector=SHELF.embedding[3]), 64)
    assert set(WORLD.family[rows]) == {WORLD.family[3]}
    assert len(rows) == 16


def test_hidden_and_seen_contents_stay_away_and_the_answer_stays_full():
    vector = SHELF.embedding[3]
    nearest = np.argsort(-(SHELF.embedding @ vector), kind="stable")
    active = np.ones(len(SHELF), np.bool_)
    active[nearest[:5]] = False
    seen = nearest[5:9].tolist()
    rows = ContentBased(replace(SHELF, active=active), threshold=-1.0).retrieve(
        query(user_vector=vector, seen=seen), 20
    )
    assert rows.tolist() == nearest[9:29].tolist()
