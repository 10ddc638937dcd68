"""What usually follows the last positives."""

from dataclasses import replace

import numpy as np

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


def test_a_trained_retriever_finds_where_one_serves_and_knows_what_was_met():
    asked = []

    def finder(positives, met):
        asked.append((positives.tolist(), met.tolist()))
        return np.where(np.arange(len(SHELF)) % 2 == 0, 1.0, -1.0).astype(np.float32)

    shelf = SHELF.finding(finder)
    past = history(*watched("clip-000"), *skipped("clip-003"))
    rows = Sequential(shelf, session_taste(past, shelf)).retrieve(query(past=past), 64)
    assert len(rows) > 0
    assert not (rows % 2).any()
    assert asked == [([0], [0, 3])]
    nobody = history()
    assert len(Sequential(shelf, session_taste(nobody, shelf)).retrieve(query(past=nobody), 64)) == 0
    assert len(asked) == 1, "of a stranger nothing is known"
    met = history(*skipped("clip-003"))
    assert len(Sequential(shelf, session_taste(met, shelf)).retrieve(query(past=met), 64)) > 0
