"""The union remembers who proposed what."""

import numpy as np

from ranking.pipeline.proposals import NOT_PROPOSED, merge


def rows(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def test_the_union_keeps_the_order_of_first_proposal():
    union = merge([("a", 10, rows(9, 2)), ("b", 10, rows(5, 2, 1))])
    assert union.rows.tolist() == [9, 2, 5, 1]
    assert union.rank.tolist() == [[0, 1, NOT_PROPOSED, NOT_PROPOSED], [NOT_PROPOSED, 1, 0, 2]]


def test_the_primary_source_ranked_it_best_relative_to_its_quota():
    union = merge([("small", 2, rows(4, 7)), ("large", 100, rows(1, 2, 3, 7))])
    at = union.rows.tolist().index(7)
    assert list(union.credits())[at] == ("large", {"small": 1, "large": 3})


def test_taking_some_keeps_their_provenance():
    union = merge([("a", 2, rows(9, 2)), ("b", 2, rows(5))]).take(rows(2, 0))
    assert union.rows.tolist() == [5, 9]
    assert list(union.credits()) == [("b", {"b": 0}), ("a", {"a": 0})]


def test_no_sources_and_empty_sources_give_an_empty_union():
    assert len(merge([])) == 0
    assert len(merge([("a", 5, rows())])) == 0
