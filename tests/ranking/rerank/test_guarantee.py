"""What is new is shown to some people, whatever its score."""

from dataclasses import replace

import numpy as np
import pytest

from ranking.pipeline.run import check_positions
from ranking.rerank.guarantee import Guarantee, GuaranteeRules
from tests.worlds import query

RULES = GuaranteeRules(people=50, block=10)
CANDIDATES = np.arange(100, 140)
SCORES = np.linspace(1, 0, 40).astype(np.float32)


def placed(due, worth=1.0):
    need = np.zeros(200, np.float32)
    need[np.array(due, np.int64)] = worth
    return need


def order(due, size=20, user_id="u", rules=RULES):
    asked = replace(query(size=size), user_id=user_id)
    chosen = Guarantee(placed(due), rules).order(asked, CANDIDATES, SCORES)
    check_positions(chosen, len(CANDIDATES), size)
    assert (chosen.propensity == 1.0).all()
    return chosen


def test_one_position_of_each_block_goes_to_a_content_that_is_due():
    for number in range(30):
        chosen = order([130, 135], user_id=f"u{number}")
        shown = CANDIDATES[chosen.picks]
        places = sorted(int(np.flatnonzero(shown == row)[0]) for row in (130, 135))
        assert 1 <= places[0] < 10 <= places[1] < 20
        assert chosen.reasons == dict.fromkeys(places, "guaranteed_exposure")
        rest = [row for row in shown if row not in (130, 135)]
        assert rest == [row for row in CANDIDATES if row not in (130, 135)]


def test_what_the_page_shows_anyhow_needs_no_help():
    assert order([100, 101], size=10).picks.tolist() == list(range(40))
    assert 130 in CANDIDATES[order([101, 130], size=10).picks][:10]


def places(size, *, walks_of=10_000):
    """Which of the first 400 positions of a user are given away, delivered in pages of one size."""
    given = set()
    for seen in range(0, 400, size):
        asked = query(size=size + 5, seen=range(1_000, 1_000 + seen), spare=5, begins=seen % walks_of == 0)
        chosen = Guarantee(placed(range(125, 140)), RULES).order(asked, CANDIDATES, SCORES)
        assert all(place < size for place in chosen.reasons), "a spare position is not one that is shown"
        given |= {seen + place for place in chosen.reasons}
    return given


@pytest.mark.parametrize("size", [1, 2, 5, 8, 20])
def test_pages_of_any_size_give_the_same_positions_away(size):
    assert places(size) == places(10)
    assert [len({each for each in places(10) if each // 10 == block}) for block in range(40)] == [1] * 40


def test_the_first_position_of_a_walk_is_spared_unless_it_is_all_of_it():
    assert 0 not in {place % 5 for place in places(5, walks_of=5)}
    assert len(places(1, walks_of=1)) == 40


@pytest.mark.parametrize("due", [[], [7, 8]])
def test_without_a_due_candidate_nothing_moves(due):
    assert order(due).picks.tolist() == list(range(40))


def test_a_page_that_ends_before_the_position_is_left_alone():
    pages = [order([130], size=3, user_id=f"u{number}") for number in range(30)]
    assert {len(chosen.reasons) for chosen in pages} == {0, 1}
    assert all(place < 3 for chosen in pages for place in chosen.reasons)


def test_users_share_the_work_by_need_and_each_gets_the_same_again():
    due = np.arange(120, 140)
    # Five that nobody has met, and fifteen that nine people have.
    need = placed(due, np.where(due < 125, 1.0, 0.1))

    def given(user_id):
        asked = replace(query(size=10), user_id=user_id)
        chosen = Guarantee(need, RULES).order(asked, CANDIDATES, SCORES)
        (place,) = chosen.reasons
        return int(CANDIDATES[chosen.picks[place]])

    first = [given(f"u{n}") for n in range(2_000)]
    assert first == [given(f"u{n}") for n in range(2_000)]
    counts = np.bincount(np.array(first) - 120, minlength=20)
    chance = need[due] / need[due].sum()
    # Within five standard deviations of what each needs.
    assert (abs(counts - 2_000 * chance) < 5 * np.sqrt(2_000 * chance * (1.0 - chance))).all()


@pytest.mark.parametrize("name", ["people", "block"])
def test_rules_of_nothing_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        GuaranteeRules(**{name: 0})
