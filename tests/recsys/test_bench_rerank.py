"""The re-ranking benchmark compares two ways to the same page."""

import numpy as np

from ranking.rerank.diversity import greedy_map
from ranking.rerank.kernel import USUAL_WEIGHTS, Similarity
from recsys.benchmarks import rerank
from recsys.benchmarks.results import Options


def test_the_peer_finds_the_same_page():
    similarity = Similarity.of(rerank.made_shelf(), np.arange(rerank.CANDIDATES), USUAL_WEIGHTS)
    values = np.random.default_rng(1).normal(size=rerank.CANDIDATES)
    fast = greedy_map(values, similarity, rerank.SIZE, theta=rerank.THETA, window=rerank.WINDOW)
    assert fast.tolist() == rerank.by_determinants(values, similarity)


def test_every_stage_is_measured():
    result = rerank.run(Options(quick=True))
    assert {row[0] for row in result.rows} == {
        "DPP, greedy MAP", "assemble", "creator_fairness", "mix", "thompson", "epsilon_greedy", "diverse_exploration",
    }  # fmt: skip
    assert all(value > 0.0 for value in result.figures.values())
    assert result.figures["times_faster"] > 1.0
