"""What re-ranking costs per page: the DPP beside the same greedy search by determinants, and every stage."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

import numpy as np

from events.columnar.history import History
from ranking.pipeline.proposals import merge
from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import FeedQuery, ReRanker
from ranking.rerank.assembly import Assemble
from ranking.rerank.calibration import Calibration
from ranking.rerank.diversity import Diversity, greedy_map
from ranking.rerank.exploration import EpsilonGreedy
from ranking.rerank.fairness import CreatorFairness
from ranking.rerank.kdpp import DiverseExploration
from ranking.rerank.kernel import USUAL_WEIGHTS, Similarity
from ranking.rerank.mix import Mix
from ranking.rerank.posteriors import BetaPosteriors
from ranking.rerank.thompson import Thompson
from recsys.benchmarks.results import Bar, Options, Result

MOST_DPP_MS: Final = 1.0
CANDIDATES: Final = 300
SIZE: Final = 20
WINDOW: Final = 10
THETA: Final = 2.0
DIMS: Final = 64


def run(options: Options) -> Result:
    """Median milliseconds of each on the same 300 candidates, 20 positions."""
    rounds = 50 if options.quick else 300
    shelf = made_shelf()
    rows, scores = np.arange(CANDIDATES), np.linspace(2.0, -2.0, CANDIDATES).astype(np.float32)
    similarity = Similarity.of(shelf, rows, USUAL_WEIGHTS)
    values = scores.astype(np.float64)
    dpp = median_ms(lambda: greedy_map(values, similarity, SIZE, theta=THETA, window=WINDOW), rounds)
    plain = median_ms(lambda: by_determinants(values, similarity), max(rounds // 50, 2))
    figures = {"dpp_ms": dpp, "by_determinants_ms": plain, "times_faster": plain / dpp}
    table = [("DPP, greedy MAP", f"{dpp:.2f} ms", f"{plain:.0f} ms by determinants, {plain / dpp:,.0f} times")]
    query = FeedQuery(
        "u", datetime(2026, 11, 24, tzinfo=UTC), History.empty(), rows[:0], None, "for_you", "default", SIZE, 1
    )
    for stage in stages(shelf):
        figures[f"{stage.name}_ms"] = took = median_ms(partial(stage.order, query, rows, scores), rounds)
        table.append((stage.name, f"{took:.2f} ms", ""))
    bar = Bar.at_most("rerank: milliseconds of the DPP, 300 to 20", dpp, MOST_DPP_MS)
    return Result("rerank", figures, ("stage", "median", "peer"), table, (bar,))


def made_shelf() -> Shelf:
    """Contents of twenty topics and a hundred creators."""
    rng = np.random.default_rng(7)
    category = rng.integers(20, size=CANDIDATES)
    embedding = rng.normal(size=(20, DIMS))[category] + rng.normal(size=(CANDIDATES, DIMS))
    ids = np.array([f"content-{row}" for row in range(CANDIDATES)], object)
    return Shelf(
        version="made",
        content_id=ids,
        row_of={each: row for row, each in enumerate(ids)},
        creator=rng.integers(100, size=CANDIDATES).astype(np.int32),
        category=category.astype(np.int32),
        uploaded_s=np.zeros(CANDIDATES),
        duration_s=np.full(CANDIDATES, 10.0, np.float32),
        active=np.ones(CANDIDATES, np.bool_),
        embedding=(embedding / np.linalg.norm(embedding, axis=1, keepdims=True)).astype(np.float32),
        popularity=np.ones(CANDIDATES, np.float32),
        nearest=None,
        successors=None,
        look=np.full(CANDIDATES, -1, np.int32),
        sound=np.full(CANDIDATES, -1, np.int32),
    )


def stages(shelf: Shelf) -> list[ReRanker]:
    """Every re-ranker, as the feed or an arm would use it."""
    rng = np.random.default_rng(8)
    people = rng.gamma(1.0, 50.0, size=CANDIDATES)
    proposals = merge([("a", 150, np.arange(0, CANDIDATES, 2)), ("b", 150, np.arange(1, CANDIDATES, 2))])
    return [
        Assemble([Diversity(shelf), Calibration(shelf, np.arange(8))]),
        CreatorFairness(shelf.creator.astype(np.int64) % 2, np.array([5.0, -5.0])),
        replace(Mix(shelf, 0.9), proposals=proposals.take(np.argsort(proposals.rows))),
        Thompson([BetaPosteriors(0.3 * people, people, 0.3)], people < 20.0),
        EpsilonGreedy(),
        DiverseExploration(shelf),
    ]


def by_determinants(values: np.ndarray, similarity: Similarity) -> list[int]:
    """The same page, each step from the determinants of all candidates' sets."""
    quality = np.exp(THETA * values)
    kernel = quality[:, None] * similarity.matrix() * quality
    picks: list[int] = []
    for _ in range(SIZE):
        free = np.setdiff1d(np.arange(len(values)), picks)
        sets = np.column_stack([np.tile(np.array(picks[-(WINDOW - 1) :], np.int64), (len(free), 1)), free])
        picks.append(int(free[np.linalg.slogdet(kernel[sets[:, :, None], sets[:, None, :]])[1].argmax()]))
    return picks


def median_ms(work: Callable[[], object], rounds: int) -> float:
    """Median wall time of one call, after one that does not count."""
    work()
    took = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return float(np.median(took)) * 1_000.0
