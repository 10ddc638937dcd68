"""What each filter refuses."""

from dataclasses import replace

import numpy as np

from ranking.candidates.filters import Active, NotRefused, Unseen, Wanted, codes_of
from tests.worlds import families, query

SHELF = families().shelf
CANDIDATES = np.array([5, 1, 3])


def test_inactive_contents_are_refused():
    active = SHELF.active.copy()
    active[1] = False
    assert Active(replace(SHELF, active=active)).keep(query(), CANDIDATES).tolist() == [True, False, True]


def test_what_the_user_hid_is_refused():
    assert NotRefused(np.array([3])).keep(query(), CANDIDATES).tolist() == [True, True, False]


def test_what_the_user_saw_is_refused():
    assert Unseen().keep(query(seen=[5]), CANDIDATES).tolist() == [False, True, True]


def test_unwanted_creators_and_categories_are_refused():
    creator, category = np.array([0, 1, 2, 3, -1, 5], np.int32), np.array([7, 7, 7, 8, -1, 9], np.int32)
    shelf = replace(SHELF, creator=np.resize(creator, len(SHELF)), category=np.resize(category, len(SHELF)))
    wanted = Wanted(shelf, creators=np.array([5]), categories=np.array([8]))
    assert wanted.keep(query(), np.arange(6)).tolist() == [True, True, True, False, True, False]
    everything = Wanted(shelf, creators=np.empty(0, np.int64), categories=np.empty(0, np.int64))
    assert everything.keep(query(), np.arange(6)).all()


def test_names_nobody_knows_have_no_code():
    vocabulary = np.array(["ant", "bee", "cat"], object)
    assert codes_of(vocabulary, ["zebra", "cat", "aardvark", "ant", "cat"]).tolist() == [0, 2]
    assert codes_of(np.empty(0, object), ["ant"]).tolist() == []
