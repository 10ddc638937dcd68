"""What usually follows the last positives."""

from dataclasses import replace

from ranking.candidates.sequential import Sequential
from ranking.pipeline.shelf import session_taste
from tests.worlds import families, history, query, skipped, watched

WORLD = families()
SHELF = WORLD.shelf


def test_the_family_of_the_last_positives_follows():
    past = history(*watched("clip-000"))
    rows = Sequential(SHELF, session_taste(past, SHELF)).retrieve(query(past=past), 64)
    assert set(WORLD.family[rows]) == {WORLD.family[0]}


def test_skipped_clips_are_no_positives():
    past = history(*skipped("clip-000"))
    assert len(Sequential(SHELF, session_taste(past, SHELF)).retrieve(query(past=past), 64)) == 0


def test_without_a_model_it_proposes_nothing():
    past = history(*watched("clip-000"))
    shelf = replace(SHELF, successors=None)
    assert len(Sequential(shelf, session_taste(past, shelf)).retrieve(query(past=past), 64)) == 0
