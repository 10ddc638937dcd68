"""What each filter refuses."""

from dataclasses import replace

import numpy as np

from ranking.candidates.filters import Active, NotRefused, Unseen, codes_of
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


def test_names_nobody_knows_have_no_code():
    vocabulary = np.array(["ant", "bee", "cat"], object)
    assert codes_of(vocabulary, ["zebra", "cat", "aardvark", "ant", "cat"]).tolist() == [0, 2]
    assert codes_of(np.empty(0, object), ["ant"]).tolist() == []
