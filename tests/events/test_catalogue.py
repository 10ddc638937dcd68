"""The catalogue: replaced as a whole, except for what moderation decided."""

import pytest

from events import catalogue
from events.catalogue import NewContent, NewProfile
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
