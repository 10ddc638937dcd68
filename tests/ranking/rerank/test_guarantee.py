"""What is new is shown to some people, whatever its score."""

from dataclasses import replace

import numpy as np
import pytest

from ranking.pipeline.run import check_positions
from ranking.rerank.guarantee import Guarantee, GuaranteeRules
from tests.worlds import query

RULES = GuaranteeRules(people=50, block=10, place=3)
CANDIDATES = np.arange(100, 140)
SCORES = np.linspace(1, 0, 40).astype(np.float32)


def order(due, size=20, user_id="u", rules=RULES):
    asked = replace(query(size=size), user_id=user_id)
    chosen = Guarantee(np.array(due, np.int64), rules).order(asked, CANDIDATES, SCORES)
    check_positions(chosen, len(CANDIDATES), size)
    assert (chosen.propensity == 1.0).all()
    return chosen


def test_one_position_of_each_block_goes_to_a_content_that_is_due():
    chosen = order([130, 135])
    shown = CANDIDATES[chosen.picks]
    assert shown[[3, 13]].tolist() == [130, 135], "the one that met fewer people comes first"
    assert chosen.reasons == {3: "guaranteed_exposure", 13: "guaranteed_exposure"}
    rest = [row for row in shown if row not in (130, 135)]
    assert rest == [row for row in CANDIDATES if row not in (130, 135)]


def test_what_the_page_shows_anyhow_needs_no_help():
    assert order([101, 105], size=10).picks.tolist() == list(range(40))
    assert CANDIDATES[order([101, 130], size=10).picks][3] == 130


@pytest.mark.parametrize("due", [[], [7, 8]])
def test_without_a_due_candidate_nothing_moves(due):
    assert order(due).picks.tolist() == list(range(40))


def test_a_page_that_ends_before_the_position_is_left_alone():
    assert order([130], size=3).picks.tolist() == list(range(40))


def test_users_share_the_work_and_each_gets_the_same_again():
    due = list(range(120, 140))
    # The ten that met the fewest people share the position.
    first = [int(CANDIDATES[order(due, size=10, user_id=f"u{n}").picks[3]]) for n in range(2_000)]
    again = [int(CANDIDATES[order(due, size=10, user_id=f"u{n}").picks[3]]) for n in range(2_000)]
    assert first == again
    counts = np.bincount(np.array(first) - 120, minlength=20)
    assert counts[10:].sum() == 0
    # Uniform over ten: within five standard deviations of 200 each.
    assert abs(counts[:10] - 200).max() < 5 * np.sqrt(2_000 * 0.1 * 0.9)


def test_a_place_outside_the_block_is_refused():
    with pytest.raises(ValueError, match="20"):
        GuaranteeRules(place=20)
