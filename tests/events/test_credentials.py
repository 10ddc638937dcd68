"""What each credential may do: scopes, publishable keys, rotation, and an API that is closed where nothing is said."""

import uuid
from datetime import timedelta

import pytest
from django.urls import URLPattern, get_resolver
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework.views import APIView

from dashboards.moderation_staff_api import StaffPermission
from events import api_keys, authentication
from events.authentication import Closed, require_scope
from events.models import ApiKey, Event
from events.scopes import SERVER_SCOPES
from tests.events.conftest import event_just_now as make_event

pytestmark = pytest.mark.django_db
EVENTS, BEACON, FEED = "/api/v1/events", "/api/v1/events/beacon", "/api/v1/feed"
PAGE = "https://app.example.com"
DEVICE = "anon:7d1f0c2e-9a55-4b7e"
# Open on purpose; the beacon checks the scope once it has read the token in the body.
OPEN = {"schema", "docs", "events-beacon"}


def client_of(secret, **headers):
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}", **headers)
    return client


def page_key(**options):
    return api_keys.create_key("page", kind="publishable", origins=[PAGE], **options)[1]


def code_of(response):
    return response.status_code, response.json()["error"]["code"]


def routes(patterns):
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            yield pattern
        else:
            yield from routes(pattern.url_patterns)


def test_every_api_view_names_the_scope_it_needs():
    views = {
        pattern.name: pattern.callback.cls
        for pattern in routes(get_resolver().url_patterns)
        if str(pattern.pattern).startswith("api/")
    }
    assert {"events", "feed", "content", "user", "client-token"} <= views.keys()
    for name in views.keys() - OPEN:
        (permission,) = views[name].permission_classes
        if issubclass(permission, StaffPermission):  # no key opens it: a person of the staff does
            assert permission.permission, name
            continue
        assert issubclass(permission, Closed), name
        assert {permission.scope, permission.write_scope} <= SERVER_SCOPES, name


def test_a_view_that_names_no_scope_is_closed():
    assert APIView.permission_classes == [Closed]
    with pytest.raises(authentication.Forbidden):
        authentication.ensure_scope(authentication.Credential("server", None, SERVER_SCOPES), "")


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("events:write", "post", EVENTS),
        ("feed:read", "get", f"{FEED}?user_id=u1"),
        ("content:read", "get", "/api/v1/contents/c1"),
        ("content:write", "put", "/api/v1/contents/c1"),
        ("users:read", "get", "/api/v1/users/u1"),
        ("users:write", "put", "/api/v1/users/u1"),
        ("tokens:mint", "post", "/api/v1/auth/client-token"),
        ("stats:read", "get", "/api/v1/contents/c1/stats"),
    ],
)
def test_a_server_key_does_what_its_scopes_say_and_nothing_else(scope, method, path):
    without = api_keys.create_key("x", scopes=SERVER_SCOPES - {scope, "admin"})[1]
    response = getattr(client_of(without), method)(path, {}, format="json")
    assert code_of(response) == (403, "missing_scope")
    for scopes in ({scope}, {"admin"}):
        allowed = api_keys.create_key("x", scopes=scopes)[1]
        assert getattr(client_of(allowed), method)(path, {}, format="json").status_code not in {401, 403, 500}


def test_a_publishable_key_sends_events_of_devices_from_its_pages():
    client = client_of(page_key(), HTTP_ORIGIN=PAGE)
    assert client.post(EVENTS, {"events": [make_event(user_id=DEVICE)]}, format="json").json()["accepted"] == 1
    assert Event.objects.get().user_id == DEVICE
    beacon = {"token": page_key(), "events": [make_event(user_id=DEVICE)]}
    assert APIClient().post(BEACON, beacon, format="json", HTTP_ORIGIN=PAGE).json()["accepted"] == 1


def test_a_publishable_key_reads_the_feed_of_devices_only():
    client = client_of(page_key(), HTTP_ORIGIN=PAGE)
    assert client.get(FEED, {"user_id": DEVICE}).status_code in {200, 503}
    for user_id in ("u1", "anon:", "anon:short", f"{DEVICE}\n"):
        assert code_of(client.get(FEED, {"user_id": user_id})) == (403, "forbidden_user")


@pytest.mark.parametrize("user_id", ["u1", "anon:", "anon:short", "Anon:7d1f0c2e-9a55-4b7e", "anon:7d1f0c2e 9a55 4b7e"])
def test_a_publishable_key_writes_for_no_known_user(user_id):
    response = client_of(page_key(), HTTP_ORIGIN=PAGE).post(
        EVENTS, {"events": [make_event(user_id=DEVICE), make_event(user_id=user_id)]}, format="json"
    )
    assert code_of(response) == (403, "forbidden_user")
    assert not Event.objects.exists()


def test_a_publishable_key_uploads_and_reads_nothing():
    client = client_of(page_key(), HTTP_ORIGIN=PAGE)
    upload = make_event("content_upload", user_id=DEVICE, creator_id=DEVICE)
    assert client.post(EVENTS, {"events": [upload]}, format="json").status_code == 403
    assert client.get("/api/v1/users/u1").status_code == 403
    assert client.get("/api/v1/contents/c1").status_code == 403
    assert client.post("/api/v1/auth/client-token", {"user_id": "u1"}, format="json").status_code == 403


@pytest.mark.parametrize(
    "origin", [None, "null", "*", "https://evil.example", f"{PAGE}.evil.example", PAGE.upper(), f"{PAGE}:8443"]
)
def test_a_publishable_key_serves_its_own_pages_only(origin):
    headers = {} if origin is None else {"HTTP_ORIGIN": origin}
    response = client_of(page_key(), **headers).post(EVENTS, {"events": [make_event(user_id=DEVICE)]}, format="json")
    assert code_of(response) == (403, "forbidden_origin")


@pytest.mark.parametrize(
    "rights",
    [
        {"kind": "publishable"},
        {"kind": "publishable", "origins": ["*"]},
        {"kind": "publishable", "origins": ["null"]},
        {"kind": "publishable", "origins": [f"{PAGE}/"]},
        {"kind": "publishable", "origins": [PAGE], "scopes": ["users:read"]},
        {"scopes": ["everything"]},
        {"scopes": []},
    ],
)
def test_rights_that_cannot_be_are_refused(rights):
    with pytest.raises(api_keys.InvalidKey):
        api_keys.create_key("x", **rights)
    assert not ApiKey.objects.exists()


def test_a_mistyped_key_is_refused_without_asking_the_database(django_assert_num_queries):
    secret = api_keys.create_key("x")[1]
    wrong = secret[:-9] + ("A" if secret[-9] != "A" else "B") + secret[-8:]
    with django_assert_num_queries(0):
        for typed in (wrong, secret[:-1], "sk_", "pk_" + secret[3:], secret + "x", "sk_" + "ü" * 49):
            assert client_of(typed).get("/api/v1/users/u1").status_code == 401 if typed.isascii() else True
            assert api_keys.find_key(typed) is None


def test_after_a_rotation_both_keys_hold_until_the_old_one_ends():
    now = timezone.now()
    old_id, old = api_keys.create_key("x", scopes={"feed:read"})
    _, new = api_keys.rotate(old_id, now=now, grace=timedelta(hours=1))
    assert [authentication.credential_of(secret).scopes for secret in (old, new)] == [frozenset({"feed:read"})] * 2
    row = ApiKey.objects.get(pk=old_id)
    assert api_keys.is_valid(row, now=now + timedelta(minutes=59))
    assert not api_keys.is_valid(row, now=now + timedelta(hours=1))
    api_keys.revoke(old_id, now=now)
    with pytest.raises(api_keys.InvalidKey):
        api_keys.rotate(old_id, now=now)


def test_the_last_use_of_a_key_is_noted_once_a_minute(django_assert_num_queries):
    key_id, _ = api_keys.create_key("x")
    now = timezone.now()
    api_keys.note_use(ApiKey.objects.get(pk=key_id), now=now)
    row = ApiKey.objects.get(pk=key_id)
    assert row.last_used_at == now
    with django_assert_num_queries(0):
        api_keys.note_use(row, now=now + timedelta(seconds=59))
    with django_assert_num_queries(1):
        api_keys.note_use(row, now=now + timedelta(seconds=61))


def test_a_revocation_reaches_every_process_within_five_seconds():
    assert authentication.CACHE_S < 5.0


def test_only_a_server_may_backfill(server, as_user):
    old = make_event(timestamp="2021-01-01T00:00:00Z")
    body = {"historical": True, "events": [old]}
    assert code_of(as_user("u1").post(EVENTS, body, format="json")) == (403, "server_key_required")
    assert server.post(EVENTS, body, format="json").json()["accepted"] == 1


def test_an_end_user_is_told_what_comes_too_late(as_user):
    event = make_event(timestamp=(timezone.now() - timedelta(days=8)).isoformat())
    report = as_user("u1").post(EVENTS, {"events": [event]}, format="json").json()
    assert [fault["code"] for fault in report["rejected"]] == ["too_late"]


def test_bots_are_marked_unless_a_server_speaks_for_people(server, as_user, settings):
    settings.INTERNAL_USERS = frozenset({"u2"})
    agent = {"HTTP_USER_AGENT": "Googlebot/2.1"}
    for client, user_id in ((server, "u1"), (as_user("u2"), "u2"), (as_user("u3"), "u3")):
        event = make_event(user_id=user_id, event_id=str(uuid.uuid4()))
        assert client.post(EVENTS, {"events": [event]}, format="json", **agent).json()["accepted"] == 1
    marks = dict(Event.objects.values_list("user_id", "additional_info"))
    assert marks == {"u1": {}, "u2": {"bot": True, "internal": True}, "u3": {"bot": True}}


def test_require_scope_tells_reading_from_writing():
    permission = require_scope("content:read", write="content:write")
    assert (permission.scope, permission.write_scope) == ("content:read", "content:write")
    assert require_scope("feed:read").write_scope == "feed:read"
