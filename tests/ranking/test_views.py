"""The feed's door: who may ask, what the answer looks like, and that every refusal is JSON."""

import uuid

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from events import api_keys, authentication, client_tokens
from events.errors import Forbidden, InvalidRequest, TooManyRequests, Unavailable
from ranking.feed_docs import CODES, EXAMPLES
from ranking.load import Overloaded
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
        "request_id", "items", "model_version", "fallback_level", "repeats", "has_more", "next_cursor", "expires_at",
        "took_ms", "experiments",
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


def test_only_get_and_post_are_answered(server):
    assert refusal(server.put(URL, {"user_id": "mia"}, format="json"))[0] == 405


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


REFUSED = (
    ({"limit": "0"}, 400, "invalid_limit", "invalid_<parameter>"),
    ({"cusror": "x"}, 400, "unknown_parameter", "unknown_parameter"),
    ({"surface": "category"}, 400, "missing_parameter", "missing_parameter"),
    ({"seed_content_id": "from-nowhere"}, 400, "unknown_content", "unknown_content"),
    ({"cursor": "made up"}, 400, "invalid_cursor", "invalid_cursor"),
    ({"user_id": "a\x00b"}, 400, "invalid_request", "invalid_request"),
)


@pytest.mark.parametrize(("query", "status", "code", "documented"), REFUSED)
def test_a_documented_code_is_what_is_answered(snapshot, server, query, status, code, documented):
    assert documented in CODES
    assert CODES[documented].startswith(str(status))
    assert refusal(server.get(URL, {"user_id": "mia", **query})) == (status, code)


def test_the_codes_of_errors_elsewhere_are_documented_too(db):
    classes = (InvalidRequest, Overloaded, Unavailable, Forbidden, TooManyRequests)
    assert {each.code for each in classes} <= set(CODES)
    operation = APIClient().get("/api/schema?format=json").json()["paths"][URL]["get"]
    assert all(f"`{code}`" in operation["description"] for code in CODES)
    for status, count in (("200", 3), ("400", 2), ("503", 1)):
        assert len(operation["responses"][status]["content"]["application/json"]["examples"]) == count


def test_the_explained_example_has_the_shape_of_the_answer(champion, server):
    champion()
    item = server.get(URL, {"user_id": "mia", "explain": "true"}).json()["items"][0]
    example = next(each for each in EXAMPLES if each.name == "Explained").value["items"][0]
    assert set(item) == set(example)
    assert set(item["explanation"]) == set(example["explanation"])
    assert set(item["content"]) == set(example["content"])


def test_the_description_of_the_api_names_the_feed(db):
    schema = APIClient().get("/api/schema?format=json").json()
    operation = schema["paths"][URL]["get"]
    assert {parameter["name"] for parameter in operation["parameters"]} == {
        "user_id", "limit", "cursor", "surface", "exclude_ids", "seed_content_id", "categories", "languages",
        "country", "creator_id", "diversity", "exploration", "max_per_creator", "profiling", "explain", "filter",
            "boost", "anonymous_id", "include", "fields", "session_id", "context",
    }  # fmt: skip
    assert all(parameter["description"] and parameter["examples"] for parameter in operation["parameters"])
    assert "refresh" in operation["description"]
