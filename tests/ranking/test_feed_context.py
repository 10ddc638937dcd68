"""Session and circumstances of a feed: checked, kept with what was served, and used; and fields that are asked for."""

import json
from datetime import UTC, timedelta

import pytest

from events.errors import InvalidRequest
from events.models import Content
from ranking.feed import _person
from ranking.feed_context import read_context, zone_in
from ranking.feed_request import FeedRequest
from ranking.models import Served
from ranking.pipeline.memory import remember
from tests.ranking.doors import ids_of, refusal
from tests.ranking.feeds import NOW

URL = "/api/v1/feed"
CONTEXT = {
    "device": "phone", "network": "wifi", "os": "Android 15", "app_version": "4.2.0", "country": "DE",
    "local_time": "2026-11-20T19:30:00+01:00",
}  # fmt: skip


@pytest.mark.parametrize("post", [False, True])
def test_session_and_context_are_kept_with_every_position(snapshot, server, post):
    told = {"user_id": "mia", "session_id": "s-81"}
    if post:
        page = server.post(URL, {**told, "context": CONTEXT}, format="json").json()
    else:
        page = server.get(URL, {**told, "context": json.dumps({**CONTEXT, "country": "de"})}).json()
    rows = Served.objects.filter(request_id=page["request_id"])
    assert {row.session_id for row in rows} == {"s-81"}
    assert all(row.context == CONTEXT for row in rows)
    assert len(rows) == 10


def test_a_walk_goes_on_in_another_session_and_on_another_network(snapshot, server):
    first = server.get(URL, {"user_id": "mia", "session_id": "s-1", "context": '{"network": "wifi"}'}).json()
    told = {"user_id": "mia", "cursor": first["next_cursor"], "session_id": "s-2", "context": '{"network": "cellular"}'}
    second = server.get("/api/v1/feed/next", told).json()
    rows = Served.objects.filter(request_id=second["request_id"])
    assert {(row.session_id, row.context["network"]) for row in rows} == {("s-2", "cellular")}


def test_who_tells_nothing_is_served_as_before(snapshot, server):
    page = server.get(URL, {"user_id": "mia"}).json()
    assert {(row.session_id, str(row.context)) for row in Served.objects.filter(request_id=page["request_id"])} == {
        ("", "{}")
    }


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("{", "{"),
        ("[]", "[]"),
        ('{"device": "toaster"}', "toaster"),
        ('{"network": 5}', "network"),
        ('{"os": "' + "x" * 41 + '"}', "os"),
        ('{"app_version": "\\u0000"}', "app_version"),
        ('{"country": "Germany"}', "country"),
        ('{"time_zone": "Mars/Olympus"}', "time_zone"),
        ('{"local_time": "2026-11-20T19:30:00"}', "local_time"),
        ('{"mood": "calm"}', "mood"),
        ("[" * 5_000, "[["),
    ],
)
def test_circumstances_that_cannot_be_are_named(told, shown):
    with pytest.raises(InvalidRequest) as refused:
        read_context(told)
    assert refused.value.code == "invalid_context"
    assert shown in refused.value.message


def test_the_doors_refuse_the_same(snapshot, server):
    assert refusal(server.get(URL, {"user_id": "mia", "context": '{"device": "toaster"}'})) == (400, "invalid_context")
    assert refusal(server.post(URL, {"user_id": "mia", "context": [1]}, format="json")) == (400, "invalid_context")
    assert refusal(server.get(URL, {"user_id": "mia", "session_id": "a\x00b"})) == (400, "invalid_session_id")


def test_the_country_of_the_context_counts_where_the_request_names_none(snapshot, server):
    Content.objects.filter(content_id__startswith="neon").update(geo_allow=["DE"])
    told = {"user_id": "mia", "limit": 50, "categories": "neon"}
    assert ids_of(server.get(URL, told)) == []
    assert ids_of(server.get(URL, {**told, "context": '{"country": "DE"}'}))
    assert ids_of(server.get(URL, {**told, "context": '{"country": "DE"}', "country": "FR"})) == []


@pytest.mark.parametrize(
    ("context", "hours"),
    [({}, 0), ({"time_zone": "Asia/Tokyo"}, 9), ({"local_time": "2026-11-20T19:30:00-03:00"}, -3)],
)
def test_features_read_the_clock_that_the_context_names(db, context, hours):
    from events.columnar.history import History  # noqa: PLC0415
    from events.user_past import UserPast  # noqa: PLC0415  only what this test needs
    from ranking.queries import FeedMemory  # noqa: PLC0415

    assert (zone_in(context) or UTC).utcoffset(NOW) == timedelta(hours=hours)
    memory = FeedMemory({}, frozenset(), ())
    assert remember({}, {}).walked == memory.walked
    person = _person(FeedRequest("mia", context=context), UserPast(History.empty()), memory, now=NOW)
    assert person.profile.zone.utcoffset(NOW) == timedelta(hours=hours)


def test_only_the_fields_that_are_asked_for_are_answered(snapshot, server):
    items = server.get(URL, {"user_id": "mia", "fields": "position,source"}).json()["items"]
    assert all(set(item) == {"content_id", "position", "source"} for item in items)
    both = server.post(URL, {"user_id": "mia", "fields": ["content"], "include": ["caption"]}, format="json").json()
    assert all(set(item) == {"content_id", "content"} and set(item["content"]) == {"caption"} for item in both["items"])
    assert refusal(server.get(URL, {"user_id": "mia", "fields": "price"})) == (400, "invalid_fields")
