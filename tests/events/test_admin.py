"""The admin: what each role sees, that the log cannot be touched, and that moderation goes through the catalogue."""

import re
import uuid

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from events import api_keys, authentication, catalogue, sessions
from events.catalogue import NewContent
from events.ingestion import ingest
from events.models import ApiKey, Content, Event, EventId, WindowFill
from recsys.accounts import ensure_demo_logins
from tests.events.conftest import NOW, make_event

pytestmark = pytest.mark.django_db
PAGES = ("content", "event", "userprofile", "importprogress", "apikey", "session", "windowfill", "automatedhour")


@pytest.fixture
def logins() -> None:
    ensure_demo_logins("a long demo password")
    catalogue.register_content(
        NewContent("c1", "k1", NOW, {"caption": "<b>hi</b>"}, thumbnail_url="https://cdn.example/a.jpg")
    )
    catalogue.register_content(NewContent("c2", "k1", NOW, {"caption": 5}, thumbnail_url="javascript:x"))
    ingest([make_event()], now=NOW, source="test")


def log_in(client, role):
    client.force_login(User.objects.get(username=role))
    return client


@pytest.mark.parametrize("name", PAGES)
def test_the_superuser_sees_every_list(client, logins, name):
    assert log_in(client, "admin").get(reverse(f"admin:events_{name}_changelist")).status_code == 200


@pytest.mark.parametrize(
    ("role", "statuses"),
    [("moderator", (200, 200, 200, 403, 403, 403, 403, 403)), ("analyst", (200, 200, 200, 200, 403, 200, 200, 200))],
)
def test_a_role_sees_its_lists_only(client, logins, role, statuses):
    log_in(client, role)
    found = tuple(client.get(reverse(f"admin:events_{name}_changelist")).status_code for name in PAGES)
    assert found == statuses


def test_a_single_row_of_each_kind_can_be_opened(client, logins):
    log_in(client, "admin")
    event = reverse("admin:events_event_changelist")
    assert client.get(reverse("admin:events_content_change", args=["c1"])).status_code == 200
    assert client.get(event, {"q": "u1", "event_type__exact": "like"}).status_code == 200


def test_an_event_is_opened_from_its_list_by_its_time_and_found_by_its_id(client, logins):
    ingest([make_event(user_id="u2", timestamp="2026-10-01T00:00:00Z")], now=NOW, source="test")
    event = Event.objects.get(user_id="u2")
    address = reverse("admin:events_event_changelist")
    page = log_in(client, "analyst").get(address).content.decode()
    link = re.search(rf'href="([^"]*{event.pk}/change/[^"]*)"', page)[1].replace("&amp;", "&")
    EventId.objects.all().delete()
    with CaptureQueriesContext(connection) as asked:
        assert client.get(link).status_code == 200
    [look_up] = [query["sql"] for query in asked if 'FROM "event"' in query["sql"]]
    assert '"event"."timestamp" = ' in look_up
    found = client.get(address, {"q": str(event.pk)}).context["cl"]
    assert [row.pk for row in found.result_list] == [event.pk]
    for wrong in ("no-id", str(uuid.UUID(int=1))):
        assert client.get(reverse("admin:events_event_change", args=[wrong])).status_code == 302


def test_a_window_is_done_again_on_request_by_who_may_change_windows(client, logins):
    sessions.rebuild_sessions(until=NOW)
    fill = WindowFill.objects.get()
    data = {"action": "do_again", "_selected_action": [fill.pk]}
    log_in(client, "analyst").post(reverse("admin:events_windowfill_changelist"), data)
    assert sessions.rebuild_sessions(until=NOW).windows == 0
    page = log_in(client, "admin").post(reverse("admin:events_windowfill_changelist"), data, follow=True)
    assert "1 hours will be done again" in page.content.decode()
    assert sessions.rebuild_sessions(until=NOW).windows == 1


def test_hostile_captions_are_escaped_and_bad_pictures_left_out(client, logins):
    page = log_in(client, "admin").get(reverse("admin:events_content_changelist")).content.decode()
    assert "&lt;b&gt;hi&lt;/b&gt;" in page
    assert "<b>hi</b>" not in page
    assert "javascript:x" not in page


@pytest.mark.parametrize("name", ["event", "content", "userprofile"])
def test_nobody_adds_rows_by_hand(client, logins, name):
    assert log_in(client, "admin").get(reverse(f"admin:events_{name}_add")).status_code == 403


def moderate(client, action):
    data = {"action": action, "_selected_action": ["c1", "c2"]}
    return client.post(reverse("admin:events_content_changelist"), data, follow=True)


def test_a_moderator_takes_contents_down_and_back(client, logins):
    log_in(client, "moderator")
    assert "2 of 2 contents are now removed" in moderate(client, "remove").content.decode()
    assert set(Content.objects.values_list("status", flat=True)) == {"removed"}
    moderate(client, "make_active")
    assert set(Content.objects.values_list("status", flat=True)) == {"active"}


def test_an_analyst_moderates_nothing(client, logins):
    moderate(log_in(client, "analyst"), "remove")
    assert set(Content.objects.values_list("status", flat=True)) == {"active"}


def test_a_new_key_is_shown_once_and_works_until_it_is_revoked(client, logins):
    log_in(client, "admin")
    answer = client.post(reverse("admin:events_apikey_add"), {"name": "shop", "kind": "server"}, follow=True)
    key = ApiKey.objects.get()
    secret = next(word for word in answer.content.decode().split() if word.startswith(key.prefix) and len(word) == 52)
    assert authentication.credential_of(secret).is_server
    assert secret not in client.get(reverse("admin:events_apikey_changelist")).content.decode()
    data = {"action": "revoke_keys", "_selected_action": [key.pk]}
    client.post(reverse("admin:events_apikey_changelist"), data, follow=True)
    assert api_keys.find_key(secret).revoked_at is not None


@pytest.mark.parametrize(
    ("fields", "field", "sentence"),
    [
        ({"kind": "publishable"}, "origins", "must list the origins"),
        ({"kind": "publishable", "origins": "https://a.example/x"}, "origins", "without a path"),
        ({"kind": "publishable", "origins": "*"}, "origins", "looks like"),
        ({"kind": "publishable", "origins": "null"}, "origins", "looks like"),
        ({"kind": "publishable", "origins": "https://a.example", "scopes": ["admin"]}, "scopes", "must be some of"),
        ({"kind": "server", "scopes": ["fly"]}, "scopes", "not one of the available choices"),
        ({"kind": "server", "expires_at_0": "2020-01-01", "expires_at_1": "00:00"}, "expires_at", "expired already"),
    ],
)
def test_a_key_that_cannot_be_is_refused_at_the_field_that_is_wrong(client, logins, fields, field, sentence):
    answer = log_in(client, "admin").post(reverse("admin:events_apikey_add"), {"name": "x", **fields})
    assert sentence in " ".join(answer.context["adminform"].form.errors[field])
    assert not ApiKey.objects.exists()


def test_a_key_has_the_scopes_that_are_ticked_and_those_only(client, logins):
    data = {"name": "x", "kind": "server", "scopes": ["feed:read", "events:write"]}
    log_in(client, "admin").post(reverse("admin:events_apikey_add"), data)
    assert ApiKey.objects.get().scopes == ["events:write", "feed:read"]


def test_the_log_list_counts_no_more_than_it_pages(client, logins, django_assert_max_num_queries):
    log_in(client, "admin")
    with django_assert_max_num_queries(6):
        client.get(reverse("admin:events_event_changelist"))
