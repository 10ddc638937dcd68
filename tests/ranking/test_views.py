"""The feed's door: who may ask, what the answer looks like, and that every refusal is JSON."""

import uuid

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from events import api_keys, authentication, client_tokens
from ranking.models import Served

URL = "/api/v1/feed"
ITEM_KEYS = {"content_id", "position", "source", "sources", "score", "model_version", "content"}
CONTENT_KEYS = {
    "creator_id",
    "caption",
    "tags",
    "category",
    "duration_s",
    "language",
    "media_url",
    "thumbnail_url",
}


@pytest.fixture
def server(db) -> APIClient:
    authentication.forget_keys()
    _, secret = api_keys.create_key("tests")
    return APIClient(headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def user(db) -> APIClient:
    token, _ = client_tokens.mint("mia", now=timezone.now())
    return APIClient(headers={"Authorization": f"Bearer {token}"})


def refusal(answer) -> tuple[int, str]:
    assert answer["Content-Type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "details"}
    return answer.status_code, error["code"]


def test_a_server_gets_the_feed_of_any_user(snapshot, server):
    answer = server.get(URL, {"user_id": "mia", "limit": 7})
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    body = answer.json()
    assert set(body) == {
        "request_id", "items", "model_version", "fallback_level", "repeats", "has_more", "next_cursor", "took_ms",
    }  # fmt: skip
    assert [item["position"] for item in body["items"]] == list(range(7))
    assert all(set(item) == ITEM_KEYS and set(item["content"]) == CONTENT_KEYS for item in body["items"])
    assert Served.objects.filter(request_id=uuid.UUID(body["request_id"]), user_id="mia").count() == 7


def test_a_user_needs_no_user_id_and_gets_ten_items(snapshot, user):
    body = user.get(URL).json()
    assert len(body["items"]) == 10
    assert Served.objects.filter(request_id=body["request_id"], user_id="mia").count() == 10


def test_a_user_may_name_itself(snapshot, user):
    assert user.get(URL, {"user_id": "mia"}).status_code == 200


def test_a_user_does_not_get_the_feed_of_another(snapshot, user):
    assert refusal(user.get(URL, {"user_id": "ben"})) == (403, "forbidden_user")


def test_nobody_gets_a_feed_without_a_credential(db):
    assert refusal(APIClient().get(URL, {"user_id": "mia"})) == (401, "unauthorized")


def test_a_wrong_key_is_refused(db):
    client = APIClient(headers={"Authorization": "Bearer sk_" + "x" * 43})
    assert refusal(client.get(URL, {"user_id": "mia"})) == (401, "invalid_key")


@pytest.mark.parametrize("limit", ["0", "51", "-1", "ten", "1.5", "", "9" * 400, "٣", "1e1"])
def test_an_impossible_limit_is_named(server, limit):
    answer = server.get(URL, {"user_id": "mia", "limit": limit})
    assert refusal(answer) == (400, "invalid_limit")
    assert repr(limit[:40]) in answer.json()["error"]["message"]


def test_a_server_must_name_the_user(server):
    assert refusal(server.get(URL))[0] == 400


@pytest.mark.parametrize("user_id", ["x" * 201, "a\x00b"])
def test_an_impossible_user_id_is_refused(server, user_id):
    assert refusal(server.get(URL, {"user_id": user_id}))[0] == 400


def test_only_get_is_answered(server):
    assert refusal(server.post(URL, {"user_id": "mia"}, format="json"))[0] == 405


def test_an_unknown_user_gets_a_feed(snapshot, server):
    assert len(server.get(URL, {"user_id": "nobody has seen me"}).json()["items"]) == 10


def test_an_empty_catalogue_answers_an_empty_page(empty_catalogue, server):
    body = server.get(URL, {"user_id": "mia"}).json()
    assert (body["items"], body["has_more"], body["fallback_level"]) == ([], False, "latest")


def test_the_door_adds_no_query_but_the_credential(champion, user, django_assert_max_num_queries):
    champion()
    user.get(URL)
    with django_assert_max_num_queries(5):
        user.get(URL)


def test_the_description_of_the_api_names_the_feed(db):
    schema = APIClient().get("/api/schema?format=json").json()
    operation = schema["paths"][URL]["get"]
    assert {parameter["name"] for parameter in operation["parameters"]} == {
        "user_id", "limit", "cursor", "surface", "exclude_ids", "seed_content_id", "categories", "languages",
        "country", "creator_id", "diversity", "exploration", "max_per_creator", "profiling", "explain",
    }  # fmt: skip
    assert all(parameter["description"] and parameter["examples"] for parameter in operation["parameters"])
    assert "refresh" in operation["description"]
