"""The rankers: session signals count, strongly and boundedly; the model's score is fused, not trusted blindly."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from events.columnar.history import History
from ranking.pipeline.run import check_scores
from ranking.pipeline.shelf import session_taste
from ranking.rerank.hybrid import FusionWeights, LightRanker, ModelRanker, standardised
from tests.worlds import NOW, families, history, query, skipped, watched

WORLD = families()
SHELF = WORLD.shelf
NOBODY = np.empty(0, np.int64)
ALL = np.arange(len(SHELF))


@dataclass(frozen=True)
class Told:
    """What the model says of some contents."""

    value: np.ndarray
    heads: dict
    terms: dict
    segment: str = "regular"
    weights_version: int = 3


@dataclass(frozen=True)
class Model:
    """A model whose features are the rows themselves."""

    worth: np.ndarray
    version: str = "m1"
    fusion: dict = field(default_factory=dict)

    def value(self, blocks):
        worth = self.worth[blocks]
        return Told(worth.astype(np.float64), {"long_view": worth}, {"watch": worth})


def light(past: History, **changes) -> LightRanker:
    return LightRanker(SHELF, session_taste(past, SHELF), **changes)


def fused(past: History, chance: np.ndarray) -> ModelRanker:
    return ModelRanker(Model(chance), lambda rows: rows, light(past))


RANKERS = {
    "light": light,
    "model": lambda past: fused(past, np.linspace(0.1, 0.9, len(SHELF)).astype(np.float32)),
}


@pytest.mark.parametrize("name", RANKERS)
class TestEveryRanker:
    @pytest.mark.parametrize("past", [History.empty(), history(*watched("clip-000"), *skipped("clip-001"))])
    def test_scores_are_finite_and_as_many_as_candidates(self, name, past):
        check_scores(RANKERS[name](past).score(query(past=past), ALL), len(ALL))
        check_scores(RANKERS[name](past).score(query(past=past), NOBODY), 0)
        check_scores(RANKERS[name](past).score(query(past=past), ALL[:1]), 1)

    def test_permuting_candidates_permutes_scores(self, name):
        past = history(*watched("clip-000"))
        ranker, order = RANKERS[name](past), np.random.default_rng(3).permutation(len(SHELF))
        asked = query(past=past, user_vector=SHELF.embedding[0])
        np.testing.assert_allclose(ranker.score(asked, ALL)[order], ranker.score(asked, ALL[order]), rtol=1e-5)

    def test_one_watched_clip_lifts_its_family(self, name):
        past = history(*watched("clip-000"))
        before = RANKERS[name](History.empty()).score(query(), ALL)
        after = RANKERS[name](past).score(query(past=past, user_vector=SHELF.embedding[0]), ALL)
        own = WORLD.family == WORLD.family[0]
        assert (after - before)[own].mean() > (after - before)[~own].mean() + 0.5

    def test_one_skipped_clip_lowers_its_family(self, name):
        past = history(*skipped("clip-000"))
        before = RANKERS[name](History.empty()).score(query(), ALL)
        after = RANKERS[name](past).score(query(past=past), ALL)
        own = WORLD.family == WORLD.family[0]
        assert (after - before)[own].mean() < (after - before)[~own].mean() - 0.2


def test_after_five_judgements_the_session_outweighs_the_model():
    against = np.where(WORLD.family == 1, 0.05, 0.95).astype(np.float32)
    clips = [SHELF.content_id[row] for row in np.flatnonzero(WORLD.family == 1)[:5]]
    others = [SHELF.content_id[row] for row in np.flatnonzero(WORLD.family != 1)[:5]]
    events = [event for clip, other in zip(clips, others, strict=True) for event in watched(clip) + skipped(other)]
    past = history(*events)
    vector = SHELF.embedding[WORLD.family == 1].mean(axis=0)
    asked = query(past=past, user_vector=(vector / np.linalg.norm(vector)).astype(np.float32))
    best = np.argsort(-fused(past, against).score(asked, ALL))[:10]
    assert (WORLD.family[best] == 1).mean() >= 0.8


def test_without_a_session_the_model_decides():
    chance = np.random.default_rng(5).uniform(0.01, 0.99, len(SHELF)).astype(np.float32)
    flat = replace(FusionWeights(), popularity=0.0, freshness=0.0)
    ranker = ModelRanker(Model(chance), lambda rows: rows, light(History.empty(), weights=flat))
    assert np.argsort(-ranker.score(query(), ALL)).tolist() == np.argsort(-chance).tolist()


def test_judgement_says_what_the_score_is_made_of():
    past = history(*watched("clip-000"), *skipped("clip-001"))
    worth = np.random.default_rng(5).uniform(-3, 9, len(SHELF)).astype(np.float32)
    ranker = ModelRanker(Model(worth), lambda rows: rows, light(past))
    asked = query(past=past, user_vector=SHELF.embedding[0])
    rows = ALL[::3]
    told = ranker.judge(asked, rows)
    np.testing.assert_allclose(sum(told.signals.values()), told.scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(told.scores, ranker.score(asked, rows))
    assert {"model", "taste", "category", "creator", "popularity", "freshness"} <= told.signals.keys()
    np.testing.assert_array_equal(told.heads["long_view"], worth[rows])
    np.testing.assert_array_equal(told.terms["watch"], worth[rows])
    assert told.weights == "3/regular"


def test_factors_of_the_model_scale_the_signals_beside_it_and_not_the_light_ranker():
    past = history(*watched("clip-000"))
    alone = light(past)
    model = Model(np.ones(len(SHELF), np.float32), fusion={"category": 0.5, "freshness": 2.0, "popularity": 99.0})
    told = ModelRanker(model, lambda rows: rows, alone).judge(query(past=past), ALL).signals
    plain = alone.judge(query(past=past), ALL).signals
    beside = FusionWeights().beside_model
    for name, factor in {"category": 0.5 * beside, "freshness": 2.0, "popularity": 2.0, "creator": beside}.items():
        np.testing.assert_allclose(told[name], factor * plain[name], rtol=1e-5, atol=1e-6)


def test_a_failing_model_is_not_hidden():
    chance = np.full(len(SHELF), np.nan, np.float32)
    assert not np.isfinite(fused(History.empty(), chance).score(query(), ALL)).any()


def test_popular_and_new_contents_lead_for_a_new_user():
    scores = light(History.empty()).score(query(), ALL)
    expected = 0.4 * standardised(np.log1p(SHELF.popularity))
    expected = expected + 0.3 * 0.5 ** ((NOW.timestamp() - SHELF.uploaded_s) / (2 * 86_400.0))
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
