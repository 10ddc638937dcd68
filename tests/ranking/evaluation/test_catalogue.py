"""Metrics of full rankings, with the arithmetic written out."""

import inspect

import numpy as np
import pytest

from ranking.evaluation import catalogue


def test_the_best_come_first_without_the_seen_and_ties_in_order_of_row():
    scores = np.array([0.5, 0.9, 0.5, 0.9, 0.1, 0.5])
    assert catalogue.best_first(scores, np.array([3]), 3).tolist() == [1, 0, 2]
    assert catalogue.best_first(scores, np.arange(6), 3).tolist() == [], "who has seen all is shown nothing"
    assert catalogue.best_first(scores, np.array([], int), 99).tolist() == [1, 3, 0, 2, 5, 4]


def test_the_best_of_many_are_those_of_a_full_sort():
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores, seen = rng.integers(0, 9, 200) / 9, rng.choice(200, 30, replace=False)
        expected = [row for row in np.lexsort((np.arange(200), -scores)).tolist() if row not in set(seen.tolist())]
        assert catalogue.best_first(scores, seen, 25).tolist() == expected[:25]


def test_scores_are_left_as_they_were():
    scores = np.arange(5.0)
    catalogue.best_first(scores, np.array([4]), 2)
    assert scores.tolist() == [0, 1, 2, 3, 4]


def test_recall_and_ndcg_are_those_written_out():
    hit = np.array([False, True, False, True, False])
    assert catalogue.recall_at(hit, 3, 3) == pytest.approx(1 / 3)
    best = 1 / np.log2(2) + 1 / np.log2(3) + 1 / np.log2(4)
    assert catalogue.ndcg_at(hit, 3) == pytest.approx((1 / np.log2(3) + 1 / np.log2(5)) / best)
    assert catalogue.ndcg_at(np.array([], bool), 3) == 0.0
    with pytest.raises(ValueError, match="got 0"):
        catalogue.recall_at(hit, 0, 3)


def test_reciprocal_rank_looks_at_the_first_hit():
    assert catalogue.reciprocal_rank(np.array([False, True, True])) == 0.5
    assert catalogue.reciprocal_rank(np.zeros(3, bool)) == 0.0


def test_gini_is_the_mean_difference_over_twice_the_mean():
    counts = np.array([5, 0, 2, 1, 0, 7])
    shown = np.repeat(np.arange(6), counts)
    expected = np.abs(counts[:, None] - counts[None]).mean() / (2 * counts.mean())
    assert catalogue.exposure_gini(shown, 6) == pytest.approx(expected)
    assert catalogue.exposure_gini(np.array([], int), 6) == 0.0


def test_diversity_is_the_mean_over_pairs_of_a_plain_loop():
    vectors = np.random.default_rng(1).normal(size=(6, 4))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = [1 - unit[i] @ unit[j] for i in range(6) for j in range(i)]
    assert catalogue.intra_list_diversity(vectors) == pytest.approx(sum(pairs) / len(pairs))
    assert catalogue.intra_list_diversity(vectors[:1]) is None
    assert catalogue.intra_list_diversity(np.zeros((3, 4))) == 1.0


def test_what_nobody_knows_is_newer_than_what_all_know():
    enjoyed_by = np.array([1023, 31, 0])
    found = [catalogue.novelty(np.array([row]), enjoyed_by, 1023) for row in range(3)]
    assert found == [0.0, 5.0, 10.0]
    assert catalogue.novelty(np.array([], int), enjoyed_by, 1023) is None


def test_no_metric_ranks_a_target_among_some_drawn_contents():
    """Such a metric is another question with other winners; quality is only ever told over the full catalogue."""
    assert "sample" not in inspect.getsource(catalogue)
