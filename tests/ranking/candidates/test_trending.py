"""Trends in their own order, among what may be shown."""

from dataclasses import replace

import numpy as np

from ranking.candidates.trending import Trending
from tests.worlds import families, query

SHELF = families().shelf
RISING = np.array([40, 3, 17])


def test_the_strongest_trend_comes_first_whatever_its_popularity():
    assert Trending(SHELF, RISING).retrieve(query(), 2).tolist() == [40, 3]


def test_what_was_seen_or_withdrawn_gives_way_to_the_next():
    active = SHELF.active.copy()
    active[40] = False
    assert Trending(replace(SHELF, active=active), RISING).retrieve(query(seen=[3]), 1).tolist() == [17]


def test_without_trends_there_are_no_ideas():
    assert len(Trending(SHELF, np.empty(0, np.int64)).retrieve(query(), 10)) == 0
