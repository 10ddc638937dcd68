"""Every source gets a place, nobody fills the screen, nothing is lost."""

from dataclasses import replace

import numpy as np
import pytest

from ranking.pipeline.proposals import merge
from ranking.pipeline.run import check_positions
from ranking.rerank.mix import Mix, MixRules
from tests.worlds import families, query

SHELF = families(count=4, size=25, creators_each=5).shelf
ALL = np.arange(len(SHELF))
USUAL = MixRules()
LOOSE = MixRules(per_creator=99, per_category=((0.0, 99),))


def ordered(candidates, *, shelf=SHELF, size=10, rules=USUAL, proposals=None, evidence=0.9):
    mix = Mix(shelf, evidence, rules)
    mix = mix if proposals is None else mix.knowing(proposals)
    scores = -np.arange(len(candidates), dtype=np.float32)
    chosen = mix.order(query(size=size), candidates, scores)
    check_positions(chosen, len(candidates), size)
    return candidates[chosen.picks]


def test_it_only_reorders():
    page = ordered(ALL, size=30)
    assert sorted(page.tolist()) == ALL.tolist()


def test_without_need_the_order_stays():
    assert ordered(ALL, rules=LOOSE).tolist() == ALL.tolist()


@pytest.mark.parametrize("size", [5, 10, 30])
def test_at_most_two_of_one_creator_in_any_five_positions(size):
    by_creator = ALL[np.argsort(SHELF.creator, kind="stable")]
    page = SHELF.creator[ordered(by_creator, size=size)[:size]]
    for start in range(size - 4):
        assert np.unique(page[start : start + 5], return_counts=True)[1].max() <= 2


def test_one_topic_leaves_room_for_another():
    by_category = ALL[np.argsort(SHELF.category, kind="stable")]
    page = SHELF.category[ordered(by_category)[:10]]
    assert (page == 0).sum() == 8


@pytest.mark.parametrize(("judged", "favourite"), [(0, 4), (1, 6), (5, 6), (7, 8)])
def test_the_less_is_known_of_a_user_the_broader_the_page(judged, favourite):
    by_category = ALL[np.argsort(SHELF.category, kind="stable")]
    page = SHELF.category[ordered(by_category, evidence=judged / (judged + 2))[:10]]
    assert (page == 0).sum() == favourite


def test_without_alternatives_the_caps_yield():
    one = replace(SHELF, creator=np.zeros(100, np.int32), category=np.zeros(100, np.int32))
    assert ordered(ALL, shelf=one).tolist() == ALL.tolist()


def test_unknown_creators_and_topics_are_not_one_creator_and_one_topic():
    unknown = replace(SHELF, creator=np.full(100, -1, np.int32), category=np.full(100, -1, np.int32))
    assert ordered(ALL, shelf=unknown).tolist() == ALL.tolist()


@pytest.mark.parametrize("size", [10, 20, 30])
def test_every_source_with_candidates_appears_in_every_ten_positions(size):
    proposals = merge([("strong", 60, ALL[:60]), ("weak", 30, ALL[60:90]), ("rare", 10, ALL[90:])])
    page = ordered(proposals.rows, size=size, rules=LOOSE, proposals=proposals)[:size]
    for start in range(0, size, 10):
        block = page[start : start + 10]
        assert ((block >= 60) & (block < 90)).any()
        assert (block >= 90).any()
        assert (block < 60).sum() == 8


def test_a_source_that_ran_out_is_owed_nothing():
    proposals = merge([("strong", 60, ALL[:60]), ("single", 5, ALL[60:61])])
    page = ordered(proposals.rows, size=20, rules=LOOSE, proposals=proposals)
    assert page[:20].tolist().count(60) == 1
    assert page[10:20].tolist() == list(range(9, 19))


def test_a_page_shorter_than_the_number_of_sources_is_filled_anyway():
    proposals = merge([(f"s{n}", 5, ALL[n : n + 1]) for n in range(6)])
    assert ordered(proposals.rows, size=3, proposals=proposals)[:3].tolist() == [0, 1, 2]


def test_no_candidates_give_no_positions():
    assert len(ordered(np.empty(0, np.int64))) == 0
