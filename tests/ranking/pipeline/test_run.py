"""The executor: sources fail open, filters fail closed, rankers give way to the next level."""

from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import pytest

from ranking.pipeline.moves import Move
from ranking.pipeline.run import Pipeline, run
from ranking.pipeline.stages import Judgement, Positions
from tests.worlds import query


@dataclass(frozen=True)
class Fixed:
    """A source, filter, ranker or re-ranker that answers what it was told to, or breaks."""

    answer: object = None
    name: str = "fixed"
    version: str = "v1"

    def reply(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def retrieve(self, asked, limit):
        return self.reply()

    def keep(self, asked, candidates):
        return self.reply() if self.answer is not None else np.ones(len(candidates), np.bool_)

    def score(self, asked, candidates):
        return self.reply() if self.answer is not None else -candidates.astype(np.float32)

    def order(self, asked, candidates, scores):
        return self.reply()


def rows(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


BROKEN = Fixed(RuntimeError("broken"), name="broken")
PIPELINE = Pipeline(
    sources=[(Fixed(rows(3, 1), "a"), 5), (Fixed(rows(2, 3), "b"), 5)],
    filters=[],
    ranker=Fixed(version="model-7"),
    light_ranker=Fixed(version="light"),
    trending=Fixed(rows(2, 3)),
    rerankers=[],
)


def go(pipeline, **asked):
    ticks = count()
    return run(query(**asked), pipeline, catalogue_size=10, timer=lambda: float(next(ticks)))


def test_candidates_come_best_score_first():
    result = go(PIPELINE)
    assert result.proposals.rows.tolist() == [1, 2, 3]
    assert result.scores.tolist() == [-1.0, -2.0, -3.0]
    assert (result.level, result.version) == ("ranked", "model-7")
    assert result.account.retrieved == {"a": 2, "b": 2}
    assert result.account.failures == []


@pytest.mark.parametrize(
    "bad",
    [
        RuntimeError("away"),
        rows(2, 2),
        rows(10),
        rows(-1),
        rows(0, 1, 2, 3, 4, 5),
        np.array([1.0]),
    ],
)
def test_a_broken_source_costs_only_its_own_ideas(bad):
    result = go(replace(PIPELINE, sources=[(Fixed(bad, "bad"), 5), (Fixed(rows(2, 3), "b"), 5)]))
    assert result.proposals.rows.tolist() == [2, 3]
    assert [stage for stage, _ in result.account.failures] == ["bad"]
    assert result.account.retrieved == {"bad": 0, "b": 2}


@pytest.mark.parametrize("bad", [RuntimeError("away"), np.ones(2, np.bool_), np.ones(3, np.int8)])
def test_a_broken_filter_lets_nothing_through(bad):
    result = go(replace(PIPELINE, filters=[Fixed(bad, "bad")]))
    assert len(result) == 0
    assert result.account.dropped == {"bad": 3}


def test_drops_are_counted_by_filter():
    result = go(replace(PIPELINE, filters=[Fixed(np.array([True, False, True]), "f"), Fixed(None, "g")]))
    assert result.proposals.rows.tolist() == [2, 3]
    assert result.account.dropped == {"f": 1, "g": 0}


@pytest.mark.parametrize(
    "bad", [RuntimeError("away"), np.zeros(2, np.float32), np.array([0.0, np.nan, 1.0]), np.array([0.0, np.inf, 1.0])]
)
def test_a_broken_model_gives_way_to_the_light_ranker(bad):
    result = go(replace(PIPELINE, ranker=Fixed(bad)))
    assert (result.level, result.version) == ("light", "light")
    assert result.proposals.rows.tolist() == [1, 2, 3]


def test_without_any_ranker_trending_order_serves():
    result = go(replace(PIPELINE, ranker=None, light_ranker=BROKEN))
    assert result.level == "trending"
    assert result.proposals.rows.tolist() == [2, 3, 1]


def test_even_without_trending_there_is_an_answer():
    result = go(replace(PIPELINE, ranker=BROKEN, light_ranker=BROKEN, trending=BROKEN))
    assert (result.level, result.proposals.rows.tolist()) == ("trending", [3, 1, 2])
    assert len(result.account.failures) == 3


def test_rerankers_follow_each_other_and_their_propensities_multiply():
    first = Fixed(Positions(rows(2, 0, 1), np.array([0.5, 1.0, 1.0], np.float32)), "first")
    second = Fixed(Positions(rows(1, 0, 2), np.array([0.5, 0.5, 1.0], np.float32)), "second")
    result = go(replace(PIPELINE, rerankers=[first, second]))
    assert result.proposals.rows.tolist() == [1, 3, 2]
    assert result.propensity.tolist() == [0.5, 0.25, 1.0]


@dataclass(frozen=True)
class Judging(Fixed):
    """A ranker that says what its scores are made of: row / 10 likes, weighed with 5."""

    def judge(self, asked, candidates):
        like = candidates.astype(np.float32) / 10
        return Judgement(5 * like, {"like": like}, {"like": 5 * like}, {"model": 5 * like}, "3/new")


def test_what_scores_are_made_of_follows_every_reordering():
    turned = Fixed(Positions(rows(2, 0, 1), np.ones(3, np.float32)), "turned")
    result = go(replace(PIPELINE, ranker=Judging(version="model-7"), rerankers=[turned]))
    assert result.proposals.rows.tolist() == [1, 3, 2]
    judged = result.judgement
    assert judged.heads["like"] == pytest.approx([0.1, 0.3, 0.2])
    assert judged.terms["like"] == pytest.approx([0.5, 1.5, 1.0])
    assert judged.signals["model"].tolist() == judged.scores.tolist() == result.scores.tolist()
    assert judged.weights == "3/new"


def test_ranker_of_scores_alone_leaves_the_judgement_without_heads():
    judged = go(PIPELINE).judgement
    assert (judged.heads, judged.weights) == ({}, "")
    assert judged.scores.tolist() == [-1.0, -2.0, -3.0]


@pytest.mark.parametrize(
    "bad",
    [
        RuntimeError("away"),
        Positions(rows(0, 0, 1), np.ones(3, np.float32)),
        Positions(rows(0), np.ones(1, np.float32)),
        Positions(rows(0, 1, 2), np.ones(2, np.float32)),
        Positions(rows(0, 1, 2), np.array([1.0, 0.0, 1.0], np.float32)),
        Positions(rows(0, 1, 2), np.ones(3, np.float32), {3: "diversity"}),
    ],
)
def test_a_broken_reranker_leaves_the_order_as_it_was(bad):
    result = go(replace(PIPELINE, rerankers=[Fixed(bad, "bad")]))
    assert result.proposals.rows.tolist() == [1, 2, 3]
    assert result.propensity.tolist() == [1.0, 1.0, 1.0]
    assert [stage for stage, _ in result.account.failures] == ["bad"]


def test_every_candidate_knows_how_it_came_to_its_place():
    ones = np.ones(3, np.float32)
    first = Fixed(Positions(rows(2, 0, 1), ones, {0: "diversity"}), "first")
    second = Fixed(Positions(rows(0, 2, 1), ones, {1: "creator_cap"}), "second")
    result = go(replace(PIPELINE, rerankers=[first, BROKEN, second]))
    assert result.proposals.rows.tolist() == [3, 2, 1]
    assert result.moves(0) == (Move("first", 2, 0, "diversity"),)
    assert result.moves(1) == (Move("first", 1, 2, None), Move("second", 2, 1, "creator_cap"))
    assert result.moves(2) == (Move("first", 0, 1, None), Move("second", 1, 2, None))


def test_every_stage_is_timed():
    result = go(replace(PIPELINE, filters=[Fixed(None, "f")]))
    assert set(result.account.seconds) == {"a", "b", "f", "ranked"}
    assert all(seconds == 1.0 for seconds in result.account.seconds.values())


def test_no_sources_give_an_empty_run():
    assert len(go(replace(PIPELINE, sources=[], light_ranker=BROKEN, ranker=None))) == 0


class TestDeadline:
    """The timer of these tests ticks once whenever it is asked."""

    def late(self, deadline, **changes):
        ticks = count()
        pipeline = replace(PIPELINE, **changes)
        return run(query(), pipeline, catalogue_size=10, timer=lambda: float(next(ticks)), deadline=deadline)

    def test_when_the_time_is_up_from_the_start_one_source_filters_and_the_light_ranker_serve(self):
        keep = Fixed(np.array([True, False]), name="keep")
        reverse = Fixed(Positions(rows(0), np.ones(1, np.float32)), name="reverse")
        found = self.late(0.0, filters=[keep], rerankers=[reverse])
        assert found.account.skipped == ["b", "ranked", "reverse"]
        assert (found.level, found.version, found.proposals.rows.tolist()) == ("light", "light", [3])
        assert found.account.dropped == {"keep": 1}

    def test_a_deadline_in_the_middle_cuts_what_comes_after_it(self):
        # Source a asks twice, then b is asked about once and asks twice itself; then the ranker is too late.
        found = self.late(5.0)
        assert (found.account.skipped, found.level) == (["ranked"], "light")
        assert found.account.retrieved == {"a": 2, "b": 2}

    def test_in_time_nothing_is_skipped(self):
        found = self.late(1_000.0)
        assert (found.account.skipped, found.level) == ([], "ranked")
