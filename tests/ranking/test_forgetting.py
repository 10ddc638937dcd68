"""What is left of a user who reset their recommendations, and of one who was erased."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from events import catalogue, queries
from events.catalogue import NewProfile
from events.models import Event, EventId, HourChange, UserProfile
from events.sessions import rebuild_sessions
from features.preferences import apply_feedback
from ranking.models import Served
from tests.ranking.doors import client_of, refusal
from tests.ranking.feeds import Viewer

FEED, MIA = "/api/v1/feed", "/api/v1/users/mia"
HISTORY = f"{MIA}/history"


def items(client, user_id="mia", **told):
    answer = client.get(FEED, {"user_id": user_id, "limit": 20, "exploration": 0, **told})
    assert answer.status_code == 200, answer.content
    return [item["content_id"] for item in answer.json()["items"]]


def similar_of(client):
    answer = client.get("/api/v1/contents/ocean-03/similar", {"user_id": "mia", "count": 20})
    return [item["content_id"] for item in answer.json()["items"]]


@pytest.fixture
def fan(champion, server):
    """Mia loves neon, has seen a page, and has said a few things; the first page of her walk."""
    champion()
    viewer = Viewer("mia", now=timezone.now() - timedelta(minutes=5))
    for clip in range(8):
        viewer.watch(f"neon-{clip:02d}")
    for clip in range(4):
        viewer.do("like", f"neon-{clip:02d}")
    apply_feedback(until=timezone.now() + timedelta(hours=1))
    return server.get(FEED, {"user_id": "mia", "limit": 10}).json()


def test_after_a_reset_the_feed_is_that_of_somebody_new(fan, server):
    assert items(server) != items(server, "stranger")
    answer = server.delete(HISTORY)
    assert answer.status_code == 200
    assert answer.json()["user_id"] == "mia"
    assert items(server) == items(server, "another-stranger")
    assert items(server, surface="latest") == items(server, "another-stranger", surface="latest")


def test_what_comes_after_a_reset_shapes_the_next_page(fan, server):
    server.delete(HISTORY)
    viewer = Viewer("mia", now=timezone.now() + timedelta(milliseconds=50))
    for clip in range(5):
        viewer.watch(f"ocean-{clip:02d}")
    page = items(server)
    assert not {f"ocean-{clip:02d}" for clip in range(5)} & set(page)
    assert sum(each.startswith("ocean") for each in page) > sum(each.startswith("neon") for each in page)


@pytest.mark.parametrize("delivered", [False, True])
def test_an_open_walk_ends_with_a_reset(fan, server, delivered):
    told = {"user_id": "mia", "cursor": fan["next_cursor"]}
    if delivered:
        assert server.get("/api/v1/feed/next", told).status_code == 200
    server.delete(HISTORY)
    assert refusal(server.get("/api/v1/feed/next", told)) == (400, "cursor_expired")


def test_what_was_said_outlives_a_reset_and_what_was_done_does_not(fan, server):
    server.put(f"{MIA}/follows/ocean-maker-1")
    server.put(f"{MIA}/mutes/neon-maker-2")
    server.put(f"{MIA}/hidden/ocean-05")
    server.patch(f"{MIA}/preferences", {"languages": ["en"]}, format="json")
    assert "learned" in UserProfile.objects.get(pk="mia").preferences
    server.delete(HISTORY)
    assert "learned" not in UserProfile.objects.get(pk="mia").preferences
    apply_feedback(until=timezone.now() + timedelta(hours=1))
    learned = UserProfile.objects.get(pk="mia").preferences.get("learned", {})
    assert "neon" not in str(learned)
    assert server.get(f"{MIA}/preferences").json()["muted_creators"] == ["neon-maker-2"]
    following = items(server, surface="following", limit=50)
    assert following
    assert "ocean-05" not in items(server, limit=50)
    assert Event.objects.filter(user_id="mia", event_type="view").count() == 8, "the figures of everybody stay"


def test_the_doors_beside_the_feed_forget_as_well(fan, server):
    for clip in range(10, 16):
        Viewer("mia", now=timezone.now() - timedelta(minutes=1)).watch(f"ocean-{clip:02d}")
    seen = {f"ocean-{clip:02d}" for clip in range(10, 16)}
    assert not seen & set(similar_of(server))
    server.delete(HISTORY)
    assert seen & set(similar_of(server))


def test_an_event_of_a_clock_that_is_ahead_is_reset_too(snapshot, server):
    ahead = timezone.now() + timedelta(seconds=90)
    Viewer("mia", now=ahead).watch("neon-03")
    begins = datetime.fromisoformat(server.delete(HISTORY).json()["history_from"])
    assert begins > ahead
    assert items(server) == items(server, "stranger")


def test_who_was_erased_is_somebody_new(fan, server):
    catalogue.update_profile(NewProfile("mia", {"birth_year": 1990}, {"blocked_creators": ["ocean-maker-1"]}))
    rebuild_sessions(until=timezone.now(), now=timezone.now())
    changes = HourChange.objects.count()
    answer = server.delete(MIA)
    assert answer.status_code == 200, answer.content
    rows = answer.json()["rows"]
    assert (rows["event"], rows["user_profile"], rows["served"]) == (28, 1, 10)
    assert rows["session"] >= 1
    for model in (Event, UserProfile, Served):
        assert not model.objects.filter(user_id="mia").exists()
    assert HourChange.objects.count() > changes, "everything derived is counted again"
    assert refusal(server.get(MIA)) == (404, "not_found")
    assert items(server) == items(server, "stranger")
    assert not any(server.delete(MIA).json()["rows"][each] for each in ("event", "user_profile"))


def test_what_an_erased_users_device_sends_twice_does_not_come_back(fan, server):
    raw = {
        "event_id": str(EventId.objects.first().event_id), "event_type": "like", "user_id": "mia",
        "content_id": "neon-00", "timestamp": timezone.now().astimezone(UTC).isoformat(),
    }  # fmt: skip
    server.delete(MIA)
    answer = server.post("/api/v1/events", {"events": [raw]}, format="json").json()
    assert answer["accepted"] == 0
    assert not Event.objects.filter(user_id="mia").exists()


def test_a_worker_is_asked_to_forget_what_was_learned(fan, server, monkeypatch, django_capture_on_commit_callbacks):
    asked = []
    first, last = queries.user_span("mia")
    monkeypatch.setattr("features.tasks.erase_user.apply_async", lambda args, **_: asked.append(args))
    with django_capture_on_commit_callbacks(execute=True):
        server.delete(MIA)
    assert asked == [("mia", first.isoformat(), last.isoformat())]


@pytest.mark.parametrize("url", [MIA, HISTORY])
def test_users_forget_themselves_and_nobody_else(fan, user, url):
    assert refusal(user.delete(url.replace("mia", "ben"))) == (403, "forbidden_user")
    assert Event.objects.filter(user_id="mia").exists()
    assert user.delete(url).status_code == 200


@pytest.mark.parametrize("url", [MIA, HISTORY])
def test_a_key_without_the_scope_erases_nothing(fan, url):
    from events import api_keys, authentication  # noqa: PLC0415  keys are made in the test's own database

    authentication.forget_keys()
    reader = client_of(api_keys.create_key("reader", scopes=["users:read", "feed:read"])[1])
    assert refusal(reader.delete(url)) == (403, "missing_scope")
    assert Event.objects.filter(user_id="mia").exists()


def test_ids_that_end_like_a_route_are_named_in_the_query(snapshot, server):
    odd = "mia/history"
    catalogue.update_profile(NewProfile(odd, {}, {}))
    assert server.get("/api/v1/users", {"user_id": odd}).status_code == 200
    assert server.delete(f"/api/v1/users?user_id={odd}").json()["rows"]["user_profile"] == 1
