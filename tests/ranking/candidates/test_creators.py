"""Creators worth following."""

from dataclasses import replace

import numpy as np

from ranking.candidates.creators import creators_for, showpieces
from ranking.pipeline.shelf import session_taste
from tests.worlds import families, history, skipped, watched

WORLD = families(size=24)
SHELF = WORLD.shelf
NOBODY = np.empty(0, np.int64)


def rows_of(family):
    return np.flatnonzero(WORLD.family == family)


def fan_of(family, *, count=4):
    clips = [SHELF.content_id[row] for row in rows_of(family)[:count]]
    other = [SHELF.content_id[row] for row in rows_of((family + 1) % 4)[:2]]
    past = history(*(each for clip in clips for each in watched(clip)), *(e for clip in other for e in skipped(clip)))
    return session_taste(past, SHELF), SHELF.embedding[rows_of(family)[0]]


def test_a_fan_is_offered_the_creators_of_what_they_watch():
    taste, vector = fan_of(2)
    found = creators_for(SHELF, taste, vector, limit=3, without=NOBODY)
    assert set(found.code // 3) == {2}
    assert (np.diff(found.score) <= 0).all()
    assert "popularity" not in found.because


def test_known_creators_are_left_out():
    taste, vector = fan_of(2)
    known = creators_for(SHELF, taste, vector, limit=2, without=NOBODY).code
    assert not set(known) & set(creators_for(SHELF, taste, vector, limit=50, without=known).code)


def test_without_a_taste_reach_decides():
    found = creators_for(SHELF, None, None, limit=50, without=NOBODY)
    reach = np.bincount(SHELF.creator, weights=SHELF.popularity, minlength=12)
    assert found.code.tolist() == np.argsort(-np.log1p(reach), kind="stable").tolist()
    assert set(found.because) == {"popularity"}


def test_a_creator_whose_contents_are_all_withdrawn_is_nobody():
    active = SHELF.active & (SHELF.creator != 4)
    assert 4 not in creators_for(replace(SHELF, active=active), None, None, limit=50, without=NOBODY).code


def test_an_empty_shelf_has_no_creators():
    assert len(creators_for(families(size=0).shelf, None, None, limit=5, without=NOBODY).code) == 0


def test_showpieces_are_the_most_popular_of_each():
    shown = showpieces(SHELF, np.array([1, 7]), 3)
    for code, rows in shown.items():
        own = np.flatnonzero(SHELF.creator == code)
        assert rows.tolist() == own[np.argsort(-SHELF.popularity[own])][:3].tolist()
