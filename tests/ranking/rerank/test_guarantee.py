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


def placed(due):
    place = np.full(200, -1, np.int32)
    place[np.array(due, np.int64)] = np.arange(len(due))
    return place


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
        places = [int(np.flatnonzero(shown == row)[0]) for row in (130, 135)]
        assert 1 <= places[0] < 10 <= places[1] < 20, "the one that met fewer people comes first"
        assert chosen.reasons == dict.fromkeys(places, "guaranteed_exposure")
        rest = [row for row in shown if row not in (130, 135)]
        assert rest == [row for row in CANDIDATES if row not in (130, 135)]


def test_what_the_page_shows_anyhow_needs_no_help():
    assert order([100, 101], size=10).picks.tolist() == list(range(40))
    assert 130 in CANDIDATES[order([101, 130], size=10).picks][:10]


def test_it_moves_on_with_what_a_user_has_seen():
    def place(seen):
        asked = query(size=10, seen=range(seen))
        return next(iter(Guarantee(placed([130]), RULES).order(asked, CANDIDATES, SCORES).reasons))

    assert {place(seen) for seen in range(10)} == set(range(1, 10))


@pytest.mark.parametrize("due", [[], [7, 8]])
def test_without_a_due_candidate_nothing_moves(due):
    assert order(due).picks.tolist() == list(range(40))


def test_a_page_that_ends_before_the_position_is_left_alone():
    pages = [order([130], size=3, user_id=f"u{number}") for number in range(30)]
    assert {len(chosen.reasons) for chosen in pages} == {0, 1}
    assert all(place < 3 for chosen in pages for place in chosen.reasons)


def test_users_share_the_work_and_each_gets_the_same_again():
    due = list(range(120, 140))
    # The ten that met the fewest people share the position.

    def given(user_id):
        chosen = order(due, size=10, user_id=user_id)
        (place,) = chosen.reasons
        return int(CANDIDATES[chosen.picks[place]])

    first = [given(f"u{n}") for n in range(2_000)]
    assert first == [given(f"u{n}") for n in range(2_000)]
    counts = np.bincount(np.array(first) - 120, minlength=20)
    assert counts[10:].sum() == 0
    # Uniform over ten: within five standard deviations of 200 each.
    assert abs(counts[:10] - 200).max() < 5 * np.sqrt(2_000 * 0.1 * 0.9)


@pytest.mark.parametrize("name", ["people", "block"])
def test_rules_of_nothing_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        GuaranteeRules(**{name: 0})
