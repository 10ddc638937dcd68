import numpy as np
import pytest

from features.extraction.preferences import EXPLICIT, KEPT, Feedback, adjust_preferences, preference_of
from tests.features.logs import CODE


def test_no_praise_goes_beyond_one_and_a_change_of_mind_shows_soon():
    likes = adjust_preferences({}, [Feedback("like", "cars")] * 40)
    assert 0.99 < likes["categories"]["cars"] <= 1.0
    after = adjust_preferences(likes, [Feedback("hide", "cars")] * 3)
    assert after["categories"]["cars"] < 0.0
    assert likes["categories"]["cars"] > 0.99, "the old preferences are not touched"


def test_only_the_strongest_are_kept():
    feedback = [Feedback("like", creator=f"k{number}") for number in range(KEPT + 9)] + [Feedback("save", creator="k0")]
    kept = adjust_preferences({}, feedback)["creators"]
    assert len(kept) == KEPT
    assert "k0" in kept


@pytest.mark.parametrize("kind", EXPLICIT)
def test_the_replay_over_a_history_is_the_same_rule(kind):
    mixed = ["like", kind, "view", kind]
    step_by_step = adjust_preferences({}, [Feedback(each, "x") for each in mixed])["categories"]["x"]
    replayed = preference_of(np.array([4, 4, 4, 4]), np.array([CODE[each] for each in mixed], np.uint8))
    assert replayed == {4: pytest.approx(step_by_step, abs=1e-6)}
