"""Neighbours of one content."""

from dataclasses import replace

import numpy as np
import pytest

from ranking.candidates.alike import alike, of_same_kind
from tests.worlds import families

WORLD = families()
SHELF = WORLD.shelf
EVERYTHING = np.ones(len(SHELF), np.bool_)


@pytest.mark.parametrize("row", [0, 17, 63])
def test_neighbours_are_of_the_family_and_never_the_content_itself(row):
    found = alike(SHELF, row, 12, EVERYTHING)
    assert set(WORLD.family[found.rows]) == {WORLD.family[row]}
    assert row not in found.rows
    assert len(set(found.rows.tolist())) == 12
    assert (np.diff(found.score) <= 0).all()


def test_the_score_is_the_mean_of_both_likenesses():
    found = alike(SHELF, 3, 40, EVERYTHING)
    cosine = np.clip(SHELF.embedding[found.rows] @ SHELF.embedding[3], 0.0, 1.0)
    follows = (WORLD.family[found.rows] == WORLD.family[3]).astype(float)
    assert found.score == pytest.approx(0.5 * cosine + 0.5 * follows, abs=1e-6)


def test_behaviour_alone_serves_a_content_without_an_embedding():
    embedding = SHELF.embedding.copy()
    embedding[5] = 0.0
    found = alike(replace(SHELF, embedding=embedding), 5, 10, EVERYTHING)
    assert set(WORLD.family[found.rows]) == {WORLD.family[5]}
    assert (found.cosine == 0.0).all()


def test_the_embedding_alone_serves_a_content_nobody_watched():
    found = alike(replace(SHELF, successors=None), 5, 10, EVERYTHING)
    assert set(WORLD.family[found.rows]) == {WORLD.family[5]}
    assert (found.behaviour == 0.0).all()


def test_with_neither_there_are_no_neighbours():
    assert len(alike(replace(SHELF, successors=None, nearest=None), 5, 10, EVERYTHING).rows) == 0


def test_what_is_not_allowed_or_not_active_stays_away():
    family = np.flatnonzero(WORLD.family == WORLD.family[0])
    active, allowed = SHELF.active.copy(), EVERYTHING.copy()
    active[family[1]] = allowed[family[2]] = False
    found = alike(replace(SHELF, active=active), 0, 60, allowed)
    assert not {family[1], family[2]} & set(found.rows.tolist())
    assert allowed[0], "the mask of the caller is not touched"


def test_a_kind_is_its_category_popular_first_then_the_newest():
    popularity = SHELF.popularity.copy()
    category = int(SHELF.category[0])
    rows = np.flatnonzero(SHELF.category == category)
    popularity[rows[4:]] = 0.0
    shelf = replace(SHELF, popularity=popularity)
    found = of_same_kind(shelf, category, 100, EVERYTHING)
    hot = rows[:4][np.argsort(-popularity[rows[:4]])]
    new = rows[4:][np.argsort(-shelf.uploaded_s[rows[4:]])]
    assert found.tolist() == [*hot, *new]
    assert len(of_same_kind(shelf, -1, 100, EVERYTHING)) == len(shelf)
