"""What the creators one follows uploaded lately."""

import numpy as np

from ranking.candidates.following import Following
from tests.worlds import families, query

SHELF = families().shelf


def test_only_the_followed_creators_come_latest_first():
    creators = np.unique(SHELF.creator)[:2]
    rows = Following(SHELF, creators).retrieve(query(), 10_000)
    assert set(SHELF.creator[rows]) == set(creators)
    assert len(rows) == int((np.isin(SHELF.creator, creators) & SHELF.active).sum())
    assert (np.diff(SHELF.uploaded_s[rows]) <= 0).all()


def test_who_follows_nobody_gets_nothing():
    assert len(Following(SHELF, np.empty(0, np.int64)).retrieve(query(), 10)) == 0
