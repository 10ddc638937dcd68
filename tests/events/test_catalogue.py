"""The catalogue: replaced as a whole, except for what moderation decided."""

import threading

import pytest
from django.db import connection

from events import catalogue
from events.catalogue import NewContent, NewProfile, revise_preferences, update_profile
from events.models import Content, UserProfile
from tests.events.conftest import NOW

pytestmark = pytest.mark.django_db


def content(content_id: str = "c1", **fields) -> NewContent:
    return NewContent(content_id, "k1", NOW, **fields)


def test_registering_says_whether_a_content_is_new():
    assert catalogue.register_content(content(metadata={"caption": "one"})) is True
    assert catalogue.register_content(content(metadata={"caption": "two"}, duration_s=3.5)) is False
    row = Content.objects.get()
    assert (row.metadata, row.duration_s) == ({"caption": "two"}, 3.5)


def test_registering_again_moves_the_time_of_change():
    catalogue.register_content(content())
    before = Content.objects.get().updated_at
    catalogue.register_content(content())
    assert Content.objects.get().updated_at > before


def test_a_removed_content_stays_removed_when_it_is_synced_again():
    catalogue.register_content(content())
    catalogue.set_moderation_state("c1", status="removed")
    catalogue.register_content(content(status="active"))
    assert Content.objects.get().status == "removed"


def test_many_contents_are_written_at_once_and_the_last_of_an_id_counts():
    many = [content(f"c{number}") for number in range(4500)] + [content("c7", language="en")]
    assert catalogue.register_contents(many) == 4500
    assert catalogue.register_contents(many) == 0
    assert Content.objects.get(content_id="c7").language == "en"


def test_nothing_to_write_is_no_error(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert catalogue.register_contents([]) == catalogue.update_profiles([]) == catalogue.ensure_profiles([]) == 0


def test_an_unknown_status_is_refused_by_name():
    with pytest.raises(ValueError, match="'banned'"):
        catalogue.register_content(content(status="banned"))
    with pytest.raises(ValueError, match="'banned'"):
        catalogue.set_moderation_state("c1", status="banned")


def test_moderation_says_whether_anything_changed():
    catalogue.register_content(content())
    assert catalogue.set_moderation_state("c1", status="hidden") is True
    assert catalogue.set_moderation_state("c1", status="hidden") is False
    with pytest.raises(catalogue.UnknownContent, match="'c2'"):
        catalogue.set_moderation_state("c2", status="hidden")


def test_profiles_are_replaced_and_never_emptied_by_events():
    assert catalogue.update_profile(NewProfile("u1", {"age": 30}, {"persona": "cook"})) is True
    assert catalogue.update_profile(NewProfile("u1", {"age": 31}, {"persona": "cook"})) is False
    assert catalogue.ensure_profiles(["u1", "u2", "u2"]) == 1
    assert UserProfile.objects.get(user_id="u1").demographics == {"age": 31}


def test_what_does_not_change_preferences_is_not_dated():
    update_profile(NewProfile("mia", preferences={"muted_categories": ["cars"]}))
    before = UserProfile.objects.get()
    assert revise_preferences("mia", lambda known: known) == {"muted_categories": ["cars"]}
    assert UserProfile.objects.get().updated_at == before.updated_at
    revise_preferences("mia", lambda known: {**known, "languages": ["en"]})
    assert UserProfile.objects.get().updated_at > before.updated_at


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_at_once_none_is_lost():
    first_reads, second_started = threading.Event(), threading.Event()

    def slowly(known):
        first_reads.set()
        assert second_started.wait(10)
        return {**known, "first": True}

    def change(name, how):
        try:
            revise_preferences("mia", how)
        finally:
            connection.close()

    first = threading.Thread(target=change, args=("first", slowly))
    first.start()
    assert first_reads.wait(10)
    second = threading.Thread(target=change, args=("second", lambda known: {**known, "second": True}))
    second.start()
    second_started.set()
    first.join(10)
    second.join(10)
    assert UserProfile.objects.get(user_id="mia").preferences == {"first": True, "second": True}
