"""Which pages may call the API: exact origins, never with cookies."""

import pytest

from events import api_keys, authentication

pytestmark = pytest.mark.django_db
PAGE, OTHER = "https://app.example.com", "https://shop.example.com:8443"
PATH = "/api/v1/events"


@pytest.fixture(autouse=True)
def origins(settings):
    settings.CORS_ORIGINS = frozenset({PAGE})
    authentication.forget_keys()
    yield
    authentication.forget_keys()


def preflight(client, origin, path=PATH):
    asked = {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST", "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "authorization"}
    return client.options(path, HTTP_ORIGIN=origin, **asked)


def test_a_listed_page_may_call_and_need_not_ask_again_soon(client):
    answer = preflight(client, PAGE)
    assert answer.status_code == 204
    assert answer["Access-Control-Allow-Origin"] == PAGE
    assert {"authorization", "content-type", "content-encoding"} == set(
        answer["Access-Control-Allow-Headers"].split(", ")
    )
    # The browser client mutes with PUT and takes it back with DELETE.
    assert {"GET", "POST", "PUT", "PATCH", "DELETE"} <= set(answer["Access-Control-Allow-Methods"].split(", "))
    assert int(answer["Access-Control-Max-Age"]) >= 600
    assert "Access-Control-Allow-Credentials" not in answer
    assert answer["Vary"] == "Origin"


@pytest.mark.parametrize(
    "origin",
    ["null", "*", "https://evil.example", f"{PAGE}.evil.example", f"{PAGE}:443", "http://app.example.com", f"{PAGE}/"],
)
def test_no_other_page_is_let_in(client, origin):
    for answer in (preflight(client, origin), client.post(PATH, b"{}", "application/json", HTTP_ORIGIN=origin)):
        assert not [name for name in answer.headers if name.startswith("Access-Control")]
        assert "Origin" in answer["Vary"]


def test_errors_can_be_read_by_the_page_too(client):
    answer = client.post(PATH, b"{}", "application/json", HTTP_ORIGIN=PAGE)
    assert answer.status_code == 401
    assert answer["Access-Control-Allow-Origin"] == PAGE
    assert "Retry-After" in answer["Access-Control-Expose-Headers"]


def test_the_pages_of_publishable_keys_are_let_in_until_the_key_ends(client):
    assert "Access-Control-Allow-Origin" not in preflight(client, OTHER)
    authentication.forget_keys()
    key_id, _ = api_keys.create_key("page", kind="publishable", origins=[OTHER])
    assert preflight(client, OTHER)["Access-Control-Allow-Origin"] == OTHER
    ended_at = api_keys.ApiKey.objects.get(pk=key_id).created_at
    api_keys.revoke(key_id, now=ended_at)
    authentication.forget_keys()
    assert "Access-Control-Allow-Origin" not in preflight(client, OTHER)


def test_only_the_api_is_open_to_other_pages(client):
    for path in ("/admin/login/", "/livez"):
        assert "Access-Control-Allow-Origin" not in client.get(path, HTTP_ORIGIN=PAGE)
