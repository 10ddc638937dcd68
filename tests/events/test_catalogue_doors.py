"""Contents and users changed in part, in batches, and taken away."""

from datetime import timedelta

import pytest
from django.utils import timezone

from events import catalogue, queries
from events.catalogue import NewContent, NewProfile
from events.cleaning.preferences import LISTS, MOST_NAMES
from events.models import Content, UserProfile
from tests.events.conftest import NOW

CONTENT, USER = "/api/v1/contents/c1", "/api/v1/users/mia"


@pytest.fixture
def content(db) -> None:
    facts = {"caption": "waves", "category": "sea", "tags": ["calm"]}
    catalogue.register_content(NewContent("c1", "k1", NOW, facts, duration_s=7.0, language="en", geo_deny=("FR",)))


def send(client, method, path, body=None):
    return getattr(client, method)(path, body, format="json")


def code_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_a_change_keeps_what_it_does_not_name(content, server):
    before = Content.objects.get()
    answer = send(server, "patch", CONTENT, {"duration_s": None, "metadata": {"category": "ocean", "tags": None}})
    assert answer.status_code == 200
    after = Content.objects.get()
    assert answer.json()["metadata"] == after.metadata == {"caption": "waves", "category": "ocean"}
    assert (after.duration_s, after.language, after.geo_deny, after.upload_timestamp) == (None, "en", ["FR"], NOW)
    assert after.updated_at > before.updated_at


@pytest.mark.parametrize("body", [{"status": "active"}, {"duration_s": -1}, {"colour": "red"}, {"metadata": []}, []])
def test_a_change_with_a_fault_is_refused_and_changes_nothing(content, server, body):
    before = Content.objects.values().get()
    assert code_of(send(server, "patch", CONTENT, body)) == (400, "invalid_fields")
    assert Content.objects.values().get() == before


def test_what_is_not_there_cannot_be_changed_or_ended(db, server):
    assert code_of(send(server, "patch", CONTENT, {"language": "en"})) == (404, "not_found")
    assert code_of(server.delete(CONTENT)) == (404, "not_found")
    assert code_of(send(server, "patch", USER, {"demographics": {}})) == (404, "not_found")


def test_a_deleted_content_is_shown_to_nobody_and_comes_back_when_it_is_put_again(content, server):
    assert server.delete(CONTENT).status_code == 204
    ended = Content.objects.get().expires_at
    assert queries.eligible(["c1"]) == set()
    assert server.delete(CONTENT).status_code == 204
    assert Content.objects.get().expires_at == ended, "the second time changes nothing"
    assert send(server, "put", CONTENT, {"creator_id": "k1"}).status_code == 200
    assert queries.eligible(["c1"]) == {"c1"}


def test_deleting_takes_nothing_of_moderation_back(content, server):
    catalogue.set_moderation_state("c1", status="removed")
    server.delete(CONTENT)
    send(server, "put", CONTENT, {"creator_id": "k1"})
    assert queries.eligible(["c1"]) == set()


def test_contents_whose_ids_end_like_a_route_are_changed_and_ended_as_well(db, server):
    named = "/api/v1/contents?content_id=a/similar"
    send(server, "put", named, {"creator_id": "k"})
    assert send(server, "patch", named, {"language": "pt"}).json()["language"] == "pt"
    assert server.delete(named).status_code == 204
    assert Content.objects.get().expires_at <= timezone.now()


def test_a_user_token_changes_no_content_and_its_own_profile_only(content, as_user):
    mia = as_user("mia")
    assert mia.delete(CONTENT).status_code == 403
    assert send(mia, "patch", CONTENT, {}).status_code == 403
    assert send(mia, "patch", "/api/v1/users/ben", {"demographics": {}}).status_code == 403
    assert send(mia, "post", "/api/v1/users/batch", {"users": [{"user_id": "ben"}]}).status_code == 403
    assert send(mia, "post", "/api/v1/contents/batch", {"contents": []}).status_code == 403


def test_a_change_of_a_profile_goes_key_by_key(db, server):
    catalogue.update_profile(NewProfile("mia", {"age": 30, "country": "DE"}, {"persona": "cook"}))
    answer = send(server, "patch", USER, {"demographics": {"country": "PT", "age": None}})
    assert answer.json() == {"user_id": "mia", "demographics": {"country": "PT"}, "preferences": {"persona": "cook"}}


def test_a_batch_takes_what_holds_and_names_the_rest(content, server):
    entries = [
        {"content_id": "c1", "creator_id": "k2"},
        {"content_id": "c2", "creator_id": "k2", "expires_at": (timezone.now() + timedelta(days=1)).isoformat()},
        {"content_id": "c3"},
        {"content_id": "c2", "creator_id": "k3"},
        "c4",
    ]
    answer = send(server, "post", "/api/v1/contents/batch", {"contents": entries})
    assert answer.status_code == 200
    told = answer.json()
    assert (told["created"], told["replaced"]) == (1, 1)
    assert [each["index"] for each in told["rejected"]] == [2, 4]
    assert {each["code"] for each in told["rejected"]} == {"invalid_fields"}
    assert "creator_id" in told["rejected"][0]["detail"]
    assert dict(Content.objects.values_list("content_id", "creator_id")) == {"c1": "k2", "c2": "k3"}
    assert Content.objects.get(pk="c2").expires_at is None, "the last of an id counts"


def test_a_batch_of_users(db, server):
    users = [{"user_id": "mia", "demographics": {"age": 30}}, {"user_id": "x" * 201}, {"user_id": "ben"}]
    told = send(server, "post", "/api/v1/users/batch", {"users": users}).json()
    assert (told["created"], told["replaced"], [each["index"] for each in told["rejected"]]) == (2, 0, [1])
    assert UserProfile.objects.get(pk="mia").demographics == {"age": 30}


@pytest.mark.parametrize("field", LISTS)
def test_a_profile_whose_lists_are_too_long_is_refused_and_the_list_named(db, server, field):
    body = {"preferences": {field: [f"k{n}" for n in range(MOST_NAMES + 1)]}}
    catalogue.update_profile(NewProfile("mia"))
    for method in ("put", "patch"):
        answer = send(server, method, USER, body)
        assert code_of(answer) == (400, "invalid_fields")
        assert field in answer.json()["error"]["message"]
    told = send(server, "post", "/api/v1/users/batch", {"users": [{"user_id": "mia", **body}]}).json()
    assert [each["index"] for each in told["rejected"]] == [0]
    assert field in told["rejected"][0]["detail"]
    assert UserProfile.objects.get(pk="mia").preferences == {}


@pytest.mark.parametrize("body", [{}, [], {"contents": []}, {"contents": {}}, {"contents": [{}], "sent_at": 1}])
def test_a_body_that_is_no_batch_is_refused(db, server, body):
    assert code_of(send(server, "post", "/api/v1/contents/batch", body)) == (400, "invalid_request")


def test_a_batch_of_too_many_is_refused(db, server):
    body = {"contents": [{"content_id": "c", "creator_id": "k"}] * 1_001}
    assert code_of(send(server, "post", "/api/v1/contents/batch", body)) == (400, "invalid_request")
    assert not Content.objects.exists()
