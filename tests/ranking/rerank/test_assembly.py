"""Wishes join in one page, and each move names the wish that made it."""

import numpy as np
import pytest

from ranking.rerank.assembly import Assemble
from ranking.rerank.calibration import Calibration
from ranking.rerank.diversity import Diversity, greedy_map
from ranking.rerank.hybrid import standardised
from ranking.rerank.kernel import KernelWeights, Similarity
from tests.worlds import families, query

SHELF = families(count=4, size=25).shelf
ALL = np.arange(len(SHELF))
SCORES = np.sort(np.random.default_rng(8).normal(size=100).astype(np.float32))[::-1].copy()


def test_without_wishes_the_order_of_scores_stays():
    chosen = Assemble([]).order(query(size=10), ALL, SCORES)
    assert chosen.picks.tolist() == ALL.tolist()
    assert chosen.reasons == {}


def test_diversity_alone_is_the_greedy_page_of_the_dpp():
    chosen = Assemble([Diversity(SHELF, theta=1.5, window=6)]).order(query(size=30), ALL, SCORES)
    similarity = Similarity.of(SHELF, ALL, KernelWeights())
    expected = greedy_map(standardised(SCORES), similarity, 30, theta=1.5, window=6)
    assert chosen.picks[:30].tolist() == expected.tolist()


def test_the_reason_is_the_wish_that_lifted_the_pick_over_a_better_one():
    liked = np.flatnonzero(SHELF.category == 3)[:20]
    for wish, reason in ((Diversity(SHELF), "diversity"), (Calibration(SHELF, liked, 0.8), "calibration")):
        chosen = Assemble([wish]).order(query(size=20), ALL, SCORES)
        assert set(chosen.reasons.values()) == {reason}
        taken: set[int] = set()
        for place, pick in enumerate(chosen.picks[:20].tolist()):
            best_left = min(set(range(100)) - taken)
            assert (place in chosen.reasons) == (pick != best_left)
            taken.add(pick)
    both = Assemble([Diversity(SHELF), Calibration(SHELF, liked, 0.8)]).order(query(size=20), ALL, SCORES)
    assert set(both.reasons.values()) == {"diversity", "calibration"}


@pytest.mark.parametrize("value", [0.0, 1e30, -1e30])
def test_equal_scores_leave_the_page_to_the_wishes(value):
    scores = np.full(100, value, np.float32)
    chosen = Assemble([Diversity(SHELF)]).order(query(size=10), ALL, scores)
    assert len(set(SHELF.category[chosen.picks[:4]])) == 4
