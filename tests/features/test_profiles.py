"""What a profile said at a moment of the past, whatever of it was edited since."""

import time
from datetime import timedelta
from importlib import import_module

import pytest
from django.db import connection
from django.utils import timezone

from events import preferences
from events.catalogue import NewProfile, learn_preferences, revise_preferences, update_profile
from events.models import UserProfile
from events.user_past import user_past
from features import profiles

pytestmark = pytest.mark.django_db
OCEAN = {"liked_categories": ["ocean"]}


def moment() -> float:
    """A moment that lies between what was done before it and what is done after it."""
    time.sleep(0.002)
    at = time.time()
    time.sleep(0.002)
    return at


def state(demographics, stated):
    update_profile(NewProfile("ann", demographics, stated))


def said(*moments):
    """What was liked and muted at each moment."""
    profile = profiles.read_many(["ann"])["ann"]
    return [dict(profile.known_at(at).categories) for at in moments]


@pytest.mark.parametrize(
    "edit",
    [
        lambda: state({"age": 31}, OCEAN),
        lambda: state({}, OCEAN),
        lambda: state({"time_zone": "Asia/Tokyo"}, OCEAN),
        lambda: state({}, {**OCEAN, "persona": "cook"}),
        lambda: state({}, {**OCEAN, "languages": ["pt"]}),
        lambda: preferences.change_preferences("ann", {"blocked_creators": ["k9"]}),
        lambda: preferences.set_interests("ann", preferences.Interests(("ocean", "neon"))),
        lambda: revise_preferences("ann", lambda known: {**known, "mood": "calm"}),
        lambda: learn_preferences({"ann": {"categories": {"cars": 1.0}}}),
    ],
)
def test_an_edit_of_something_else_makes_no_wish_newer(edit):
    state({"age": 30}, OCEAN)
    after = moment()
    edit()
    assert said(after) == [{"ocean": 1.0}]


def test_every_wish_counts_from_when_it_was_stated_until_it_was_taken_back():
    before = moment()
    state({}, OCEAN)
    first = moment()
    preferences.change_preferences("ann", {"liked_categories": ["ocean", "neon"]})
    second = moment()
    state({}, {"muted_categories": ["ocean"]})
    third = moment()
    state({"age": 3}, {"muted_categories": ["ocean"]})
    assert said(before, first, second, third, moment()) == [
        {}, {"ocean": 1.0}, {"ocean": 1.0, "neon": 1.0}, {"ocean": -1.0}, {"ocean": -1.0},
    ]  # fmt: skip


def test_the_clock_of_a_user_is_that_of_the_moment():
    state({"time_zone": "+02:00"}, {})
    there = moment()
    state({"time_zone": "-03:00"}, {})
    profile = profiles.read("ann")
    offsets = [profile.known_at(at).zone.utcoffset(None) for at in (there, moment())]
    assert offsets == [timedelta(hours=2), timedelta(hours=-3)]


def test_what_changes_nothing_that_features_read_keeps_no_past_and_no_demographics():
    state({"age": 30}, OCEAN)
    state({"age": 31, "country": "BR"}, OCEAN)
    assert UserProfile.objects.get().stated_before == []
    state({"age": 32, "country": "BR"}, {})
    (kept,) = UserProfile.objects.get().stated_before
    assert kept["stated"] == {"demographics": {}, "preferences": OCEAN}


def test_the_past_is_bounded_and_beyond_it_nothing_is_claimed():
    state({}, {"liked_categories": ["first"]})
    early = moment()
    for number in range(60):
        state({}, {"liked_categories": [f"c{number}"]})
    late = moment()
    state({}, {})
    assert len(UserProfile.objects.get().stated_before) == 50
    assert said(early, late) == [{}, {"c59": 1.0}]


def test_a_huge_past_is_forgotten_before_it_fills_the_row():
    for number in range(6):
        state({}, {"liked_creators": [f"{number}-{each}-{'x' * 80}" for each in range(500)]})
    past = UserProfile.objects.get().stated_before
    assert past[0]["stated"] is None
    assert len(str(past)) < 70_000


def test_saving_a_profile_that_was_read_before_loses_no_step():
    state({}, OCEAN)
    stale, then = UserProfile.objects.get(), moment()
    state({}, {})
    stale.preferences = {"liked_categories": ["neon"]}
    stale.save()
    assert len(UserProfile.objects.get().stated_before) == 2
    assert said(then, moment()) == [{"ocean": 1.0}, {"neon": 1.0}]


@pytest.mark.parametrize("odd", [["ocean"], "ocean", 7])
def test_preferences_that_are_no_object_say_nothing_and_are_not_learned_into(odd):
    state({}, OCEAN)
    then = moment()
    UserProfile.objects.update(preferences=odd)
    assert learn_preferences({"ann": {"categories": {"cars": 1.0}}}) == 0
    assert UserProfile.objects.get().preferences == odd
    assert said(then, moment()) == [{"ocean": 1.0}, {}]
    assert profiles.read("ann").wishes == 0


def test_serving_reads_what_holds_now():
    state({}, OCEAN)
    state({"time_zone": "Asia/Tokyo"}, {"muted_categories": ["cars"]})
    past = user_past("ann", since=timezone.now() - timedelta(days=1))
    served, trained = profiles.from_documents(past.demographics, past.preferences), profiles.read("ann")
    known = trained.known_at(moment())
    assert (served.categories, served.zone) == (known.categories, known.zone)


def test_of_profiles_edited_before_the_past_was_kept_nothing_older_is_claimed():
    state({}, OCEAN)
    edited = timezone.now() + timedelta(hours=1)
    UserProfile.objects.update(updated_at=edited)
    with connection.cursor() as cursor:
        cursor.execute(import_module("events.migrations.0012_dropped_months_and_stated_facts").ADOPT)
    assert said(edited.timestamp(), edited.timestamp() + 1) == [{}, {"ocean": 1.0}]
