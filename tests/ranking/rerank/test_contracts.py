"""Every re-ranker keeps the contract, whatever it is handed."""

from dataclasses import replace

import numpy as np
import pytest

from ranking.pipeline.proposals import merge
from ranking.pipeline.run import check_positions
from ranking.rerank.assembly import Assemble
from ranking.rerank.calibration import Calibration
from ranking.rerank.diversity import Diversity
from ranking.rerank.exploration import EpsilonGreedy, ExplorationConfig
from ranking.rerank.fairness import CreatorFairness
from ranking.rerank.kdpp import DiverseExploration
from ranking.rerank.mix import Mix
from ranking.rerank.posteriors import BetaPosteriors
from ranking.rerank.thompson import Thompson
from tests.worlds import families, query

SHELF = families(count=4, size=30).shelf
N = len(SHELF)
SHELF = replace(SHELF, sound=np.random.default_rng(3).integers(-1, 40, size=N).astype(np.int32))
LIKED = np.flatnonzero(SHELF.category == 2)[:6]
TRIALS = np.random.default_rng(4).integers(0, 50, size=N).astype(float)

RERANKERS = {
    "assemble": lambda shelf, row: Assemble([Diversity(shelf), Calibration(shelf, row[LIKED])]),
    "creator_fairness": lambda shelf, row: CreatorFairness(shelf.creator.astype(np.int64) % 2, np.array([3.0, -3.0])),
    "mix": lambda shelf, row: Mix(shelf, 0.9, recent=row[np.arange(9)]).knowing(merge([("all", N, row[np.arange(N)])])),
    "epsilon_greedy": lambda shelf, row: EpsilonGreedy(ExplorationConfig(epsilon=0.3)),
    "thompson": lambda shelf, row: Thompson(
        [BetaPosteriors(0.4 * TRIALS[np.argsort(row)], TRIALS[np.argsort(row)], 0.3)], (TRIALS < 10)[np.argsort(row)]
    ),
    "diverse_exploration": lambda shelf, row: DiverseExploration(shelf),
}
AS_IT_IS = np.arange(N)


def shuffled(order: np.ndarray):
    """The same catalogue with its rows in another order."""
    return replace(
        SHELF,
        **{
            name: getattr(SHELF, name)[order]
            for name in ("content_id", "creator", "category", "uploaded_s", "duration_s", "active", "embedding",
                         "popularity", "sound")
        },
    )  # fmt: skip


@pytest.mark.parametrize("name", RERANKERS)
class TestEveryReRanker:
    @pytest.mark.parametrize("candidates", [0, 1, 2, 9, 10, 11, N])
    @pytest.mark.parametrize("size", [1, 10, 25, 500])
    def test_positions_are_enough_without_repeats_and_with_a_chance(self, name, candidates, size):
        rows = np.random.default_rng(candidates).permutation(N)[:candidates]
        scores = np.sort(np.random.default_rng(size).normal(size=candidates).astype(np.float32))[::-1]
        reranker = RERANKERS[name](SHELF, AS_IT_IS)
        if name == "mix":
            reranker = reranker.knowing(
                merge([("a", 60, rows[::2]), ("b", 60, rows[1::2])]).take(np.arange(candidates))
            )
        check_positions(reranker.order(query(size=size), rows, scores), candidates, size)

    @pytest.mark.parametrize("score", [0.0, 1e30, -7.0])
    def test_equal_and_enormous_scores_are_no_error(self, name, score):
        scores = np.full(N, score, np.float32)
        chosen = RERANKERS[name](SHELF, AS_IT_IS).order(query(size=20), AS_IT_IS, scores)
        check_positions(chosen, N, 20)

    def test_the_numbering_of_the_catalogue_does_not_matter(self, name):
        scores = np.sort(np.random.default_rng(9).normal(size=N).astype(np.float32))[::-1]
        expected = RERANKERS[name](SHELF, AS_IT_IS).order(query(size=20), AS_IT_IS, scores)
        order = np.random.default_rng(10).permutation(N)
        row = np.argsort(order)
        found = RERANKERS[name](shuffled(order), row).order(query(size=20), row, scores)
        assert found.picks[:20].tolist() == expected.picks[:20].tolist()
        np.testing.assert_allclose(found.propensity, expected.propensity, rtol=1e-4)
        assert found.reasons == expected.reasons

    def test_the_same_seed_gives_the_same_page(self, name):
        scores = np.linspace(1.0, -1.0, N).astype(np.float32)
        first, second = (
            RERANKERS[name](SHELF, AS_IT_IS).order(query(size=20, seed=4), AS_IT_IS, scores) for _ in range(2)
        )
        assert first.picks.tolist() == second.picks.tolist()
        assert first.propensity.tolist() == second.propensity.tolist()

    def test_unknown_creators_and_categories_are_no_error(self, name):
        unknown = np.full(N, -1, np.int32)
        shelf = replace(SHELF, creator=unknown, category=unknown)
        scores = np.linspace(1.0, -1.0, N).astype(np.float32)
        check_positions(RERANKERS[name](shelf, AS_IT_IS).order(query(size=20), AS_IT_IS, scores), N, 20)
