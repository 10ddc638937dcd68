"""What a user did, and what becomes of the past of a device when somebody logs in on it."""

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from events import api_keys, authentication, catalogue, client_tokens, queries
from events.catalogue import NewProfile
from events.cleaning.preferences import MOST_NAMES
from events.models import Event, HourChange, UserProfile
from events.sessions import rebuild_sessions
from ranking.models import Served
from tests.ranking.feeds import Viewer

FEED, MERGE = "/api/v1/feed", "/api/v1/users/merge"
DEVICE = "7d1f0c2e-9a55-4b7e"
ANONYMOUS = f"anon:{DEVICE}"


@pytest.fixture
def server(db) -> APIClient:
    authentication.forget_keys()
    return APIClient(headers={"Authorization": f"Bearer {api_keys.create_key('tests')[1]}"})


def user(name: str) -> APIClient:
    return APIClient(headers={"Authorization": f"Bearer {client_tokens.mint(name, now=timezone.now())[0]}"})


def code_of(answer):
    return answer.status_code, answer.json()["error"]["code"]


def page(client, **told) -> list[dict]:
    answer = client.post(FEED, told, format="json")
    assert answer.status_code == 200, answer.json()
    return answer.json()["items"]


@pytest.fixture
def device(snapshot) -> list[str]:
    """Somebody who watched the sea and hid a clip before logging in; the contents of their page."""
    authentication.forget_keys()
    client = APIClient(headers={"Authorization": f"Bearer {api_keys.create_key('page')[1]}"})
    shown = [item["content_id"] for item in page(client, anonymous_id=DEVICE)]
    viewer = Viewer(ANONYMOUS, now=timezone.now() - timedelta(minutes=5))
    for clip in range(6):
        viewer.watch(f"ocean-{clip:02d}")
    viewer.do("hide", "neon-03")
    return shown


def test_the_past_of_a_device_becomes_the_users(device, server):
    rebuild_sessions(until=timezone.now(), now=timezone.now())
    told = server.post(MERGE, {"anonymous_id": DEVICE, "user_id": "mia"}, format="json").json()
    assert told == {"user_id": "mia", "events": 19, "served": 10, "stated": False}
    assert not Event.objects.filter(user_id=ANONYMOUS).exists()
    assert not Served.objects.filter(user_id=ANONYMOUS).exists()
    rebuild_sessions(until=timezone.now(), now=timezone.now())
    assert queries.recent_sessions(ANONYMOUS, limit=9) == []
    assert queries.recent_sessions("mia", limit=9)[0].views == 6


def test_the_next_feed_follows_it_and_repeats_nothing_of_it(device, server):
    server.post(MERGE, {"anonymous_id": ANONYMOUS, "user_id": "mia"}, format="json")
    items = page(server, user_id="mia", limit=10)
    found = [item["content_id"] for item in items]
    met = {*device, "neon-03", *(f"ocean-{clip:02d}" for clip in range(6))}
    assert not set(found) & met
    assert sum(item["content"]["category"] == "ocean" for item in items) >= 4, "what was watched on the device"


def test_merging_again_changes_nothing_and_takes_in_what_came_late(device, server):
    body = {"anonymous_id": DEVICE, "user_id": "mia"}
    server.post(MERGE, body, format="json")
    assert server.post(MERGE, body, format="json").json()["events"] == 0
    Viewer(ANONYMOUS, now=timezone.now() - timedelta(minutes=1)).do("like", "ocean-09")
    assert server.post(MERGE, body, format="json").json()["events"] == 1


def test_the_hours_are_counted_again(device, server):
    HourChange.objects.all().delete()
    server.post(MERGE, {"anonymous_id": DEVICE, "user_id": "mia"}, format="json")
    assert sum(HourChange.objects.values_list("changes", flat=True)) == 2 * 19
    assert sum(HourChange.objects.values_list("events", flat=True)) == 0


def test_lists_of_preferences_are_joined_and_switches_stay(db, server):
    catalogue.update_profile(NewProfile("mia", {"age": 30}, {"muted_creators": ["a"], "languages": ["en"]}))
    stated = {"muted_creators": ["b", "a"], "blocked_creators": ["c"], "languages": ["de"], "profiling": False}
    catalogue.update_profile(NewProfile(ANONYMOUS, {"age": 9}, stated))
    told = server.post(MERGE, {"anonymous_id": DEVICE, "user_id": "mia"}, format="json").json()
    assert told == {"user_id": "mia", "events": 0, "served": 0, "stated": True}
    mia = UserProfile.objects.get()
    assert mia.demographics == {"age": 30}
    assert mia.preferences == {"muted_creators": ["a", "b"], "blocked_creators": ["c"], "languages": ["en"]}


def test_a_merge_that_would_lose_a_block_is_refused_and_changes_nothing(db, server):
    full = [f"k{n}" for n in range(MOST_NAMES)]
    catalogue.update_profile(NewProfile("mia", {}, {"blocked_creators": full}))
    catalogue.update_profile(NewProfile(ANONYMOUS, {}, {"blocked_creators": ["k1", "loud"]}))
    Viewer(ANONYMOUS, now=timezone.now() - timedelta(minutes=1)).do("like", "ocean-09")
    answer = server.post(MERGE, {"anonymous_id": DEVICE, "user_id": "mia"}, format="json")
    assert code_of(answer) == (409, "too_many_names")
    assert answer.json()["error"]["details"]["field"] == "blocked_creators"
    assert UserProfile.objects.get(pk=ANONYMOUS).preferences["blocked_creators"] == ["k1", "loud"]
    assert Event.objects.filter(user_id=ANONYMOUS).count() == 1


def test_of_too_much_that_is_liked_the_devices_comes_first(db, server):
    catalogue.update_profile(NewProfile("mia", {}, {"liked_creators": [f"k{n}" for n in range(MOST_NAMES)]}))
    catalogue.update_profile(NewProfile(ANONYMOUS, {}, {"liked_creators": ["new"]}))
    assert server.post(MERGE, {"anonymous_id": DEVICE, "user_id": "mia"}, format="json").status_code == 200
    liked = UserProfile.objects.get().preferences["liked_creators"]
    assert (liked[:2], len(liked)) == (["new", "k0"], MOST_NAMES)


def test_a_user_merges_into_itself_only_and_a_page_nobody(db):
    assert user("mia").post(MERGE, {"anonymous_id": DEVICE}, format="json").json()["user_id"] == "mia"
    answer = user("ben").post(MERGE, {"anonymous_id": DEVICE, "user_id": "mia"}, format="json")
    assert code_of(answer) == (403, "forbidden_user")
    secret = api_keys.create_key("page", kind="publishable", origins=["https://app.example.com"])[1]
    public = APIClient(headers={"Authorization": f"Bearer {secret}", "Origin": "https://app.example.com"})
    assert public.post(MERGE, {"anonymous_id": DEVICE, "user_id": ANONYMOUS}, format="json").status_code == 403


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"user_id": "mia"}, "invalid_fields"),
        ({"user_id": "mia", "anonymous_id": "ben"}, "invalid_anonymous_id"),
        ({"user_id": ANONYMOUS, "anonymous_id": DEVICE}, "invalid_request"),
        ({"anonymous_id": DEVICE}, "missing_field"),
        ({"user_id": "mia", "anonymous_id": DEVICE, "dry": True}, "invalid_fields"),
    ],
)
def test_what_is_no_merge_is_refused(server, body, code):
    assert code_of(server.post(MERGE, body, format="json")) == (400, code)


def test_a_history_is_what_was_done_newest_first(device, server):
    items = server.get(f"/api/v1/users/{ANONYMOUS}/history", {"limit": 3}).json()["items"]
    assert [(item["event_type"], item["content_id"]) for item in items] == [
        ("hide", "neon-03"), ("complete_view", "ocean-05"), ("view", "ocean-05"),
    ]  # fmt: skip
    assert [item["watch_s"] for item in items] == [None, None, 8.0]
    assert server.get("/api/v1/users/nobody/history").json() == {"user_id": "nobody", "items": []}


def test_a_history_is_shown_to_its_user_and_the_host_app(db, server):
    assert user("mia").get("/api/v1/users/mia/history").status_code == 200
    assert code_of(user("ben").get("/api/v1/users/mia/history")) == (403, "forbidden_user")
    assert code_of(server.get("/api/v1/users/mia/history", {"limit": "0"})) == (400, "invalid_number")
    assert code_of(server.get("/api/v1/users/mia/history", {"since": "0"})) == (400, "unknown_parameter")
