"""Every source gets a place, nobody fills the screen, nothing is lost."""

from dataclasses import replace

import numpy as np
import pytest

from ranking.cursors import RECENT
from ranking.pipeline.proposals import merge
from ranking.pipeline.run import check_positions
from ranking.rerank.mix import Mix, MixRules
from tests.worlds import families, query

SHELF = families(count=4, size=25, creators_each=5).shelf
ALL = np.arange(len(SHELF))
USUAL = MixRules()
LOOSE = MixRules(per_creator=99, per_category=((0.0, 99),))


NOTHING = np.empty(0, np.int64)


def chosen(candidates, *, shelf=SHELF, size=10, rules=USUAL, proposals=None, evidence=0.9, recent=NOTHING, anew=False):
    mix = Mix(shelf, evidence, rules, recent, anew)
    mix = mix if proposals is None else mix.knowing(proposals)
    scores = -np.arange(len(candidates), dtype=np.float32)
    found = mix.order(query(size=size), candidates, scores)
    check_positions(found, len(candidates), size)
    return found


def ordered(candidates, **settings):
    return candidates[chosen(candidates, **settings).picks]


def test_it_only_reorders():
    page = ordered(ALL, size=30)
    assert sorted(page.tolist()) == ALL.tolist()


def test_without_need_the_order_stays():
    assert ordered(ALL, rules=LOOSE).tolist() == ALL.tolist()


@pytest.mark.parametrize("size", [5, 10, 30])
def test_at_most_two_of_one_creator_in_any_ten_positions(size):
    by_creator = ALL[np.argsort(SHELF.creator, kind="stable")]
    page = SHELF.creator[ordered(by_creator, size=size)[:size]]
    for start in range(max(size - 9, 1)):
        assert np.unique(page[start : start + 10], return_counts=True)[1].max() <= 2


def test_no_sound_comes_twice_in_any_six_positions():
    sound = (ALL // 10).astype(np.int32)
    page = sound[ordered(ALL, size=30, shelf=replace(SHELF, sound=sound))[:30]]
    for start in range(25):
        assert len(set(page[start : start + 6])) == 6


def test_the_topic_yields_before_the_sound_and_the_sound_before_the_creator():
    rows = np.arange(4)
    shelf = replace(
        SHELF, creator=np.array([0, 0, 1, 2], np.int32), category=np.array([0, 1, 0, 0], np.int32),
        sound=np.array([0, 1, 0, 2], np.int32),
    )  # fmt: skip
    rules = MixRules(per_creator=1, creator_window=3, per_sound=1, sound_window=3, per_category=((0.0, 1),))
    # After 0: 1 breaks the creator cap, 2 those of sound and topic, 3 that of the topic only.
    found = chosen(rows, shelf=shelf, size=4, rules=rules)
    assert found.picks[:2].tolist() == [0, 3]
    assert found.reasons[1] == "creator_cap"
    found = chosen(rows[:3], shelf=shelf, size=3, rules=rules)
    assert found.picks.tolist() == [0, 2, 1]


@pytest.mark.parametrize("size", [1, 4, 10, 20])
def test_the_caps_hold_over_the_positions_of_the_pages_before(size):
    shelf = replace(SHELF, sound=(ALL // 10).astype(np.int32))
    left, shown = ALL[np.argsort(SHELF.creator, kind="stable")], NOTHING
    while len(shown) < 40:
        page = ordered(left, shelf=shelf, size=size, recent=shown[-RECENT:])[:size]
        shown, left = np.append(shown, page), left[~np.isin(left, page)]
    for column, window, most in ((shelf.creator, 10, 2), (shelf.sound, 6, 1), (shelf.category, 5, 4)):
        for start in range(len(shown) - window + 1):
            assert np.unique(column[shown[start : start + window]], return_counts=True)[1].max() <= most


def test_no_window_is_longer_than_a_cursor_remembers():
    assert max(USUAL.creator_window, USUAL.sound_window, USUAL.category_window) == RECENT + 1


def test_a_position_that_is_not_known_counts_for_nobody():
    last = replace(SHELF, creator=np.where(ALL < 3, SHELF.creator[-1], SHELF.creator))
    plain = ordered(ALL, shelf=last)
    assert ordered(ALL, shelf=last, recent=np.full(RECENT, -1)).tolist() == plain.tolist()
    assert ordered(ALL, shelf=last, recent=np.array([-1, 99, 99])).tolist() != plain.tolist()


def test_a_cap_of_the_page_itself_begins_anew_while_the_topic_goes_on():
    recent = np.flatnonzero(SHELF.creator == SHELF.creator[0])[1:3]
    shelf = replace(SHELF, category=np.full(100, -1, np.int32))
    assert ordered(ALL, shelf=shelf, recent=recent)[0] != 0
    assert ordered(ALL, shelf=shelf, recent=recent, anew=True)[0] == 0


def test_every_move_has_the_rule_that_made_it():
    by_creator = ALL[np.argsort(SHELF.creator, kind="stable")]
    proposals = merge([("strong", 60, by_creator[:60]), ("weak", 30, by_creator[60:])])
    found = chosen(proposals.rows, proposals=proposals, rules=replace(LOOSE, per_creator=2))
    own = int((SHELF.creator == SHELF.creator[by_creator[0]]).sum())
    assert found.picks[:3].tolist() == [0, 1, own]
    assert found.reasons[2] == "creator_cap"
    plain = chosen(proposals.rows, proposals=proposals, rules=LOOSE)
    assert plain.picks[:10].tolist() == [*range(9), 60]
    assert dict(plain.reasons) == {9: "source_share"}


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
