from datetime import timedelta

import pytest

from events import queries
from events.catalogue import NewProfile, update_profile
from events.models import Event
from features.preferences import apply_feedback
from tests.features.clips import NOW, raw, register, send


def learned(user="ann"):
    return queries.profile(user)["preferences"].get("learned")


@pytest.fixture
def liked(db):
    """Ann likes two clips about the ocean and hides one about neon."""
    register(["ocean-0", "ocean-1", "neon-0"])
    hours = [NOW - timedelta(hours=each) for each in (3, 2, 1)]
    send([raw(kind, "ann", clip, at) for kind, clip, at in
          zip(("like", "like", "hide"), ("ocean-0", "ocean-1", "neon-0"), hours, strict=True)])  # fmt: skip


def test_feedback_adjusts_category_creator_and_language(liked):
    assert apply_feedback(until=NOW) == 1
    assert learned() == {
        "categories": {"neon": -0.25, "ocean": 0.4375},
        "creators": {"by-0": -0.0625, "by-1": 0.25},
        "languages": {"en": pytest.approx(0.078125)},
    }


def test_applying_it_again_changes_nothing_and_a_late_gesture_finds_its_place(liked):
    apply_feedback(until=NOW)
    before = learned()
    assert apply_feedback(until=NOW) == 0
    send([raw("hide", "ann", "ocean-0", NOW - timedelta(hours=9))])
    assert apply_feedback(until=NOW) == 1
    assert learned()["categories"]["ocean"] < before["categories"]["ocean"]
    Event.objects.filter(event_type="hide", content_id="ocean-0").delete()
    send([raw("like", "ann", "neon-0", NOW - timedelta(minutes=1))])
    apply_feedback(until=NOW)
    assert learned()["categories"] == {"neon": 0.0625, "ocean": 0.4375}


def test_what_is_stated_and_what_is_learned_leave_each_other_alone(liked):
    update_profile(NewProfile("ann", {}, {"liked_categories": ["neon"]}))
    stated_at = queries.profile("ann")["updated_at"]
    apply_feedback(until=NOW)
    profile = queries.profile("ann")
    assert profile["preferences"]["liked_categories"] == ["neon"]
    assert profile["updated_at"] == stated_at, "it dates what is stated"
    update_profile(NewProfile("ann", {}, {"muted_categories": ["neon"]}))
    assert set(queries.profile("ann")["preferences"]) == {"muted_categories", "learned"}
    update_profile(NewProfile("ann", {}, {"learned": {}}))
    assert learned() == {}, "the owner may clear it"


def test_watching_is_no_feedback(db):
    register(["ocean-0"])
    send([raw("complete_view", "ann", "ocean-0", NOW - timedelta(hours=1))])
    assert apply_feedback(until=NOW) == 0
    assert learned() is None
