"""The HTTP doors of the ingestion layer: verdicts, credentials, and errors that are JSON whatever goes wrong."""

import json
import uuid

import pytest
from django.utils import timezone

from events.cleaning.schema import EVENT_TYPES
from events.models import Content, Event, UserProfile
from tests.events.conftest import event_just_now as make_event

pytestmark = pytest.mark.django_db
EVENTS = "/api/v1/events"
BEACON = "/api/v1/events/beacon"


def error_of(response, status):
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    error = response.json()["error"]
    assert set(error) == {"code", "message", "details"}
    assert error["message"]
    return error["code"]


def send(client, events, **options):
    return client.post(EVENTS, {"events": events}, format="json", **options)


def test_a_batch_of_every_type_is_accepted_once(server):
    events = [make_event(name) for name in EVENT_TYPES]
    first, second = send(server, events), send(server, events)
    assert first.status_code == second.status_code == 202
    assert first.json() == {"accepted": len(EVENT_TYPES), "duplicates": 0, "rejected": []}
    assert second.json() == {"accepted": 0, "duplicates": len(EVENT_TYPES), "rejected": []}


def test_each_event_gets_its_own_verdict(server):
    report = send(server, [make_event(), make_event("view", watch_duration=-1), 7, make_event()]).json()
    assert report["accepted"] == 2
    assert [(fault["index"], fault["code"]) for fault in report["rejected"]] == [(1, "invalid_value"), (2, "malformed")]
    assert "watch_duration" in report["rejected"][0]["detail"]


@pytest.mark.parametrize("said", [None, [], {}, True, False, ["2026-11-23T11:59:00Z"]])
def test_what_is_no_word_of_a_clock_is_refused_like_a_missing_time(server, said):
    report = send(server, [{**make_event(), "timestamp": said}, make_event(timestamp="soon"), make_event(timestamp=17)])
    assert report.json()["accepted"] == 2
    [fault] = report.json()["rejected"]
    assert (fault["index"], fault["code"]) == (0, "invalid_value")
    assert fault["detail"].startswith("timestamp: Expected `datetime`")
    assert fault["detail"].endswith(f"got {said}")
    assert {event.additional_info["clock_adjusted"] for event in Event.objects.all()} == {"'soon'", "17"}


def test_an_unknown_field_beside_the_events_is_refused_by_name(server):
    answer = server.post(EVENTS, {"events": [make_event()], "sentAt": "2026-11-23T12:00:00Z"}, format="json")
    assert error_of(answer, 400) == "parse_error"
    assert "`sentAt`" in answer.json()["error"]["message"]
    assert not Event.objects.exists()


def test_a_token_speaks_for_its_user_without_naming_it(as_user):
    assert send(as_user("u7"), [make_event(user_id=None)]).json()["accepted"] == 1
    assert Event.objects.get().user_id == "u7"


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_a_token_cannot_send_events_of_another_user(as_user, event_type):
    response = send(as_user("u7"), [make_event(user_id=None, creator_id=None), make_event(event_type, user_id="u8")])
    assert error_of(response, 403) == "forbidden_user"
    assert not Event.objects.exists()


def test_the_door_spends_few_queries(server, django_assert_num_queries):
    send(server, [make_event()])
    with django_assert_num_queries(3):  # savepoint, profiles, release; the key is remembered
        send(server, [make_event()])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_batch"),
        (b"{}", "parse_error"),
        (b"[]", "parse_error"),
        (b"{", "parse_error"),
        (b'{"events": {}}', "parse_error"),
        (b'{"events": []}', "empty_batch"),
        (b'{"events": [NaN]}', "parse_error"),
        (b'{"events": ' + b"[" * 100_000, "parse_error"),
        (b"\xff\xfe", "parse_error"),
        (json.dumps({"events": [{}] * 1001}).encode(), "batch_too_long"),
    ],
)
def test_a_body_that_is_no_batch_is_refused(server, body, code):
    assert error_of(server.post(EVENTS, body, content_type="application/json"), 400) == code


def test_a_body_over_the_limit_is_refused(server, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    assert error_of(send(server, [make_event() for _ in range(20)]), 413) == "body_too_large"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_a_batch_must_be_json(server, content_type):
    assert error_of(server.post(EVENTS, b"{}", content_type=content_type), 415) == "unsupported_media_type"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("get", EVENTS, 405, "method_not_allowed"),
        ("post", "/api/v1/contents/c1", 405, "method_not_allowed"),
        ("get", "/api/v1/nothing", 404, "not_found"),
        ("get", "/api/", 404, "not_found"),
        ("post", EVENTS + "/", 404, "not_found"),
        ("get", "/api/v1/contents/unknown", 404, "not_found"),
        ("get", "/api/v1/users/unknown", 404, "not_found"),
        ("get", "/api/v1/users/a%00b", 400, "invalid_request"),
        ("get", "/api/v1/contents/" + "x" * 201, 400, "invalid_request"),
    ],
)
def test_what_does_not_exist_is_told_in_json(server, method, path, status, code):
    assert error_of(getattr(server, method)(path), status) == code


def test_a_request_that_accepts_no_json_is_told_so_in_json(server):
    assert error_of(server.get("/api/v1/users/u1", HTTP_ACCEPT="text/html"), 406) == "not_acceptable"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", EVENTS),
        ("get", "/api/v1/contents/c1"),
        ("put", "/api/v1/contents/c1"),
        ("get", "/api/v1/users/u1"),
        ("put", "/api/v1/users/u1"),
        ("post", "/api/v1/auth/client-token"),
    ],
)
@pytest.mark.parametrize("header", [None, "Bearer sk_wrong", "Bearer x.y.z", "Basic YTpi", "Bearer", "Bearer  "])
def test_nothing_works_without_a_credential(client, method, path, header):
    headers = {"Authorization": header} if header else {}
    response = client.generic(method.upper(), path, b"{}", content_type="application/json", headers=headers)
    assert error_of(response, 401) in {"unauthorized", "invalid_key", "invalid_token"}
    assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("content_type", ["text/plain;charset=UTF-8", "application/json", ""])
def test_a_beacon_carries_its_token_in_the_body(client, server, content_type):
    token = server.post("/api/v1/auth/client-token", {"user_id": "u7"}, format="json").json()["token"]
    body = json.dumps({"token": token, "events": [make_event(user_id=None)]})
    response = client.post(BEACON, body, content_type=content_type)
    assert (response.status_code, response.json()["accepted"]) == (202, 1)
    assert Event.objects.get().user_id == "u7"


def test_a_beacon_takes_no_server_key_and_no_bad_token(client, server_key):
    def beacon(token):
        return client.post(BEACON, json.dumps({"token": token, "events": [make_event()]}), content_type="text/plain")

    assert error_of(beacon(server_key), 403) == "user_token_required"
    assert error_of(beacon("nope"), 401) == "invalid_token"
    assert error_of(beacon(""), 401) == "invalid_token"
    assert error_of(client.post(BEACON, "x", content_type="text/plain"), 400) == "parse_error"
    assert not Event.objects.exists()


def test_a_client_token_lasts_as_long_as_asked(server):
    before = timezone.now()
    answer = server.post("/api/v1/auth/client-token", {"user_id": "u7", "ttl_s": 60}, format="json")
    expires_at = timezone.datetime.fromisoformat(answer.json()["expires_at"])
    assert 58 <= (expires_at - before).total_seconds() <= 61
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "body", [{}, {"user_id": ""}, {"user_id": 7}, {"user_id": "u", "ttl_s": 3601}, {"user_id": "u", "x": 1}, []]
)
def test_a_client_token_needs_a_user_and_a_sane_lifetime(server, body):
    assert error_of(server.post("/api/v1/auth/client-token", body, format="json"), 400) == "invalid_fields"


def test_a_user_token_cannot_do_what_only_a_server_may(as_user):
    client = as_user("u7")
    minted = client.post("/api/v1/auth/client-token", {"user_id": "u8"}, format="json")
    assert error_of(minted, 403) == "server_key_required"
    written = client.put("/api/v1/contents/c1", {"creator_id": "u7"}, format="json")
    assert error_of(written, 403) == "server_key_required"


def test_a_content_is_created_replaced_and_read(server):
    body = {
        "creator_id": "k1",
        "upload_timestamp": "2026-11-01T00:00:00Z",
        "status": "active",
        "duration_s": 12.5,
        "language": "pt-BR",
        "media_url": "/media/c1.mp4",
        "thumbnail_url": "https://cdn.example/c1.jpg",
        "metadata": {"caption": "hi", "tags": ["a"], "category": "x"},
    }
    created = server.put("/api/v1/contents/c1", body, format="json")
    assert created.status_code == 201
    assert server.put("/api/v1/contents/c1", body, format="json").status_code == 200
    unlimited = {"age_rating": "everyone", "geo_allow": [], "geo_deny": [], "expires_at": None}
    answered = {"content_id": "c1", **unlimited, **body, "embedding_space": None}
    assert server.get("/api/v1/contents/c1").json() == created.json() == answered


def test_only_the_host_app_sees_contents_that_were_taken_down(server, as_user):
    server.put("/api/v1/contents/c1", {"creator_id": "k1"}, format="json")
    assert as_user("u7").get("/api/v1/contents/c1").status_code == 200
    Content.objects.update(status="removed")
    assert error_of(as_user("u7").get("/api/v1/contents/c1"), 404) == "not_found"
    assert server.get("/api/v1/contents/c1").json()["status"] == "removed"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"creator_id": None}, "creator_id"),
        ({"creator_id": "a\u0000"}, "creator_id"),
        ({"creator_id": "\ud800"}, "creator_id"),
        ({"status": "removed"}, "status"),
        ({"duration_s": 0}, "duration_s"),
        ({"duration_s": 1e9}, "duration_s"),
        ({"duration_s": "x"}, "duration_s"),
        ({"language": "<script>"}, "language"),
        ({"media_url": "javascript:alert(1)"}, "media_url"),
        ({"thumbnail_url": "//evil.example/x"}, "thumbnail_url"),
        ({"upload_timestamp": "soon"}, "upload_timestamp"),
        ({"metadata": [1]}, "metadata"),
        ({"metadata": {"a": "\u0000"}}, "metadata"),
        ({"metadata": {"a": "x" * 20_000}}, "metadata"),
        ({"metadata": {"a": 10**30}}, "metadata"),
        ({"views": 5}, "views"),
    ],
)
def test_a_content_with_a_fault_is_refused_and_the_field_named(server, change, field):
    body = json.dumps({"creator_id": "k1", **change})
    response = server.put("/api/v1/contents/c1", body, content_type="application/json")
    code = error_of(response, 400)
    assert code in {"invalid_fields", "parse_error"}
    assert code == "parse_error" or field in response.json()["error"]["message"]
    assert not Content.objects.exists()


@pytest.mark.parametrize("body", [b"", b"[]", b"3", b"{", b'{"a":' * 100_000])
def test_a_body_that_is_no_object_is_refused(server, body):
    response = server.put("/api/v1/contents/c1", body, content_type="application/json")
    assert error_of(response, 400) in {"invalid_fields", "parse_error"}


def test_a_user_is_created_replaced_and_read_by_itself(server, as_user):
    body = {"demographics": {"age": 30}, "preferences": {"persona": "cook"}}
    assert server.put("/api/v1/users/u 7/ü", body, format="json").status_code == 201
    assert as_user("u 7/ü").put("/api/v1/users/u 7/ü", body, format="json").status_code == 200
    assert as_user("u 7/ü").get("/api/v1/users/u 7/ü").json() == {"user_id": "u 7/ü", **body}
    assert error_of(as_user("u8").get("/api/v1/users/u 7/ü"), 403) == "forbidden_user"
    assert error_of(as_user("u8").put("/api/v1/users/u 7/ü", body, format="json"), 403) == "forbidden_user"
    assert UserProfile.objects.count() == 1


@pytest.mark.parametrize("field", ["preferences", "demographics"])
@pytest.mark.parametrize("odd", [["sea"], "sea", 7, True, None])
def test_what_is_told_of_a_user_must_be_objects(field, odd, server):
    response = server.put("/api/v1/users/u7", {field: odd}, format="json")
    assert error_of(response, 400) == "invalid_fields"
    assert list(response.json()["error"]["details"]["fields"]) == [field]
    assert not UserProfile.objects.exists()


def test_health_is_told_without_a_credential(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get("/livez").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok", "checks": {"database": "ok"}}


def test_the_api_describes_itself(client):
    schema = client.get("/api/schema", HTTP_ACCEPT="application/vnd.oai.openapi+json").json()
    batch = schema["paths"][EVENTS]["post"]["requestBody"]["content"]["application/json"]["schema"]
    kinds = batch["properties"]["events"]["items"]["oneOf"]
    assert sorted(kind["properties"]["event_type"]["enum"][0] for kind in kinds) == sorted(EVENT_TYPES)
    view = next(kind for kind in kinds if kind["title"] == "View")
    assert "watch_duration" in view["required"]
    assert "long_view" not in view["properties"]
    assert "$ref" not in json.dumps(kinds)
    assert schema["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    page = client.get("/api/docs").content.decode()
    assert "swagger-ui" in page
    assert "//cdn" not in page


def test_an_event_id_in_use_by_another_user_is_a_duplicate(as_user):
    event_id = str(uuid.uuid4())
    assert send(as_user("u1"), [make_event(event_id=event_id)]).json()["accepted"] == 1
    assert send(as_user("u2"), [make_event(event_id=event_id, user_id=None)]).json()["duplicates"] == 1
    assert Event.objects.get().user_id == "u1"
