"""What the model is asked about: the best by the light score, and the first ones of every source."""

from dataclasses import replace

import numpy as np
import pytest

from ranking.pipeline.cut import CutRules, kept
from ranking.pipeline.proposals import merge
from tests.ranking.pipeline.test_run import BROKEN, PIPELINE, Fixed, go

UNION = merge([("big", 40, np.arange(40)), ("small", 10, np.arange(40, 50)), ("both", 5, np.arange(38, 43))])
WIDE = replace(PIPELINE, sources=[(Fixed(np.arange(8), "a"), 8), (Fixed(np.array([9, 8]), "b"), 2)])


def test_the_best_by_score_stay_and_so_do_the_first_of_every_source():
    scores = np.zeros(50, np.float32)
    scores[[11, 29, 35]] = 1.0
    found = kept(UNION, scores, CutRules(most=9, of_each=2))
    assert found.tolist() == [0, 1, 11, 29, 35, 38, 39, 40, 41], "in the order they came"


def test_of_equal_scores_the_earlier_one_stays():
    assert kept(UNION, np.zeros(50, np.float32), CutRules(most=7, of_each=0)).tolist() == list(range(7))


def test_what_the_sources_need_stays_even_where_it_is_more_than_the_model_should_judge():
    assert kept(UNION, np.arange(50, dtype=np.float32), CutRules(most=1, of_each=2)).tolist() == [0, 1, 38, 39, 40, 41]


def test_only_what_was_kept_is_ranked_and_the_rest_is_counted():
    light = Fixed(np.arange(10, dtype=np.float32), version="light")
    result = go(replace(WIDE, light_ranker=light, cut=CutRules(most=4, of_each=1)))
    # Rows 0 and 9 are the first of their sources; by the light score of the others 8 and 7 are best.
    assert sorted(result.proposals.rows.tolist()) == [0, 7, 8, 9]
    assert (result.level, result.account.dropped) == ("ranked", {"cut": 6})


@pytest.mark.parametrize("light", [BROKEN, Fixed(np.full(10, np.nan, np.float32))])
def test_a_broken_light_ranker_cuts_nothing(light):
    result = go(replace(WIDE, light_ranker=light, cut=CutRules(most=4, of_each=1)))
    assert (len(result), result.level, [stage for stage, _ in result.account.failures]) == (10, "ranked", ["cut"])


@pytest.mark.parametrize("changes", [{"ranker": None}, {"cut": CutRules(most=10)}])
def test_without_a_ranker_or_with_few_candidates_all_go_on(changes):
    result = go(replace(WIDE, **{"cut": CutRules(most=4, of_each=1), **changes}))
    assert (len(result), result.account.dropped) == (10, {})


@pytest.mark.parametrize(("wrong", "says"), [({"most": 0}, "most must be"), ({"of_each": -1}, "of_each must not")])
def test_rules_of_nothing_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        CutRules(**wrong)
