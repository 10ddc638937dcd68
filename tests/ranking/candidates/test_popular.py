"""Popularity in order, among what may be shown."""

from dataclasses import replace

import numpy as np

from ranking.candidates.popular import Popular
from tests.worlds import families, query

SHELF = families().shelf


def test_the_most_enjoyed_come_first():
    rows = Popular(SHELF).retrieve(query(), 10)
    assert rows.tolist() == sorted(range(64), key=lambda row: -SHELF.popularity[row])[:10]


def test_contents_nobody_touched_or_that_are_inactive_are_not_popular():
    popularity, active = SHELF.popularity.copy(), SHELF.active.copy()
    popularity[:60] = 0.0
    active[63] = False
    rows = Popular(replace(SHELF, popularity=popularity, active=active)).retrieve(query(), 10)
    assert sorted(rows.tolist()) == [60, 61, 62]


def test_equal_popularity_keeps_row_order():
    level = replace(SHELF, popularity=np.ones(64, np.float32))
    assert Popular(level).retrieve(query(), 3).tolist() == [0, 1, 2]
