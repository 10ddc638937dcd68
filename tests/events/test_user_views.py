"""The doors of a user's wishes: preferences, interests, follows, blocks, mutes, hidden contents."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from events import api_keys, catalogue, queries, relations
from events.cleaning.audience import audience_of
from events.cleaning.preferences import MOST_NAMES
from events.models import Event, Refusal, UserProfile
from tests.events.conftest import make_event

USER = "/api/v1/users/mia"
PREFERENCES = f"{USER}/preferences"
PAGE = "https://app.example.com"
DEVICE = "anon:7d1f0c2e-9a55-4b7e"
WORDS = ("follows", "blocks", "mutes", "hidden")
ROUTES = [
    ("get", "/preferences", None),
    ("put", "/preferences", {"languages": ["en"]}),
    ("patch", "/preferences", {"languages": ["en"]}),
    ("put", "/interests", {"categories": ["ocean"]}),
    *((method, f"/{word}/k1", None) for word in WORDS for method in ("put", "delete")),
]


def code_of(answer):
    assert answer["Content-Type"] == "application/json"
    return answer.status_code, answer.json()["error"]["code"]


def send(client, method, path, body=None):
    return getattr(client, method)(path, body, format="json")


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_a_server_may_for_anybody_a_user_for_itself_and_nobody_else(server, as_user, method, path, body):
    assert send(server, method, USER + path, body).status_code == 200
    assert send(as_user("mia"), method, USER + path, body).status_code == 200
    assert code_of(send(as_user("ben"), method, USER + path, body)) == (403, "forbidden_user")
    assert code_of(send(APIClient(), method, USER + path, body)) == (401, "unauthorized")


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_a_publishable_key_follows_and_hides_for_devices_and_reads_no_profile(db, method, path, body):
    secret = api_keys.create_key("page", kind="publishable", origins=[PAGE])[1]
    client = APIClient(headers={"Authorization": f"Bearer {secret}", "Origin": PAGE})
    answer = send(client, method, f"/api/v1/users/{DEVICE}{path}", body)
    if path.startswith(("/follows", "/hidden")):
        assert answer.status_code == 200
        assert code_of(send(client, method, USER + path, body)) == (403, "forbidden_user")
    else:
        assert answer.status_code == 403


def test_preferences_of_a_stranger_are_the_defaults(server):
    answer = server.get(PREFERENCES).json()
    assert answer.pop("user_id") == "mia"
    assert answer.pop("profiling") is True
    assert answer.pop("sensitive_content") is False
    assert set(map(str, answer.values())) == {"[]"}
    assert not UserProfile.objects.exists(), "reading makes no profile"


def test_putting_replaces_patching_keeps_and_what_others_wrote_stays(server):
    catalogue.update_profile(catalogue.NewProfile("mia", preferences={"persona": "calm", "muted_categories": ["cars"]}))
    catalogue.learn_preferences({"mia": {"categories": {"ocean": 0.5}}})
    patched = send(server, "patch", PREFERENCES, {"languages": ["en", "en"], "profiling": False}).json()
    assert (patched["languages"], patched["muted_categories"], patched["profiling"]) == (["en"], ["cars"], False)
    put = send(server, "put", PREFERENCES, {"muted_creators": ["k1"]}).json()
    assert (put["languages"], put["muted_categories"], put["profiling"]) == ([], [], True)
    assert server.get(PREFERENCES).json() == put
    stored = queries.profile("mia")["preferences"]
    assert (stored["persona"], stored["learned"]) == ("calm", {"categories": {"ocean": 0.5}})
    assert stored["muted_creators"] == ["k1"], "the key that features read"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"mutedcreators": []}, "mutedcreators"),
        ({"learned": {}}, "learned"),
        ({"profiling": "yes"}, "yes"),
        ({"profiling": 1}, "1"),
        ({"languages": ["en", "engl ish"]}, "engl ish"),
        ({"muted_creators": "k1"}, "muted_creators"),
        ({"muted_creators": ["a\x00b"]}, "muted_creators"),
        ({"muted_creators": ["x" * 201]}, "200"),
        ({"muted_creators": [str(n) for n in range(MOST_NAMES + 1)]}, str(MOST_NAMES)),
        ([], "dictionary"),
    ],
)
def test_what_is_no_preference_is_refused_and_named(server, body, named):
    for method in ("put", "patch"):
        answer = send(server, method, PREFERENCES, body)
        assert code_of(answer) == (400, "invalid_fields")
        assert named in answer.json()["error"]["message"]
    assert not UserProfile.objects.exists()


def test_what_is_liked_is_not_muted_any_more(server):
    send(server, "put", PREFERENCES, {"muted_categories": ["ocean", "cars"], "liked_creators": ["k9"]})
    answer = send(server, "put", f"{USER}/interests", {"categories": ["ocean"], "languages": ["de"]}).json()
    assert (answer["liked_categories"], answer["muted_categories"]) == (["ocean"], ["cars"])
    assert (answer["liked_creators"], answer["languages"]) == (["k9"], ["de"])


def test_interests_without_categories_are_refused(server):
    assert code_of(send(server, "put", f"{USER}/interests", {})) == (400, "invalid_fields")


@pytest.mark.parametrize(("word", "field"), [("blocks", "blocked_creators"), ("mutes", "muted_creators")])
def test_blocks_and_mutes_are_preferences_that_can_be_taken_back(server, word, field):
    first, again = (server.put(f"{USER}/{word}/k/1").json() for _ in range(2))
    assert first == {"user_id": "mia", "relation": word, "target_id": "k/1", "active": True, "changed": True}
    assert again == {**first, "changed": False}
    assert server.get(PREFERENCES).json()[field] == ["k/1"]
    assert server.delete(f"{USER}/{word}/k/1").json() == {**first, "active": False}
    assert server.delete(f"{USER}/{word}/k/1").json()["changed"] is False
    assert server.get(PREFERENCES).json()[field] == []
    assert not Event.objects.exists()


def test_a_full_list_is_told(server):
    send(server, "put", PREFERENCES, {"blocked_creators": [str(n) for n in range(MOST_NAMES)]})
    assert code_of(server.put(f"{USER}/blocks/new")) == (409, "too_many_names")
    assert server.put(f"{USER}/blocks/7").status_code == 200


def test_blocks_that_came_in_by_another_door_all_hold_and_can_be_taken_back(server):
    stored = [f"k{n}" for n in range(MOST_NAMES + 100)]
    catalogue.update_profile(catalogue.NewProfile("mia", {}, {"blocked_creators": stored}))
    assert audience_of({}, UserProfile.objects.get(pk="mia").preferences, now=timezone.now()).creators == set(stored)
    assert server.delete(f"{USER}/blocks/k3").json()["changed"] is True
    assert server.get(PREFERENCES).json()["blocked_creators"] == [each for each in stored if each != "k3"]
    assert code_of(server.put(f"{USER}/blocks/new")) == (409, "too_many_names")


def test_following_is_one_event_however_often_it_is_said(server):
    assert [server.put(f"{USER}/follows/k1").json()["changed"] for _ in range(3)] == [True, False, False]
    assert relations.followed_creators("mia") == {"k1"}
    assert server.delete(f"{USER}/follows/k1").json() == {
        "user_id": "mia", "relation": "follows", "target_id": "k1", "active": False, "changed": True,
    }  # fmt: skip
    assert relations.followed_creators("mia") == frozenset()
    assert server.put(f"{USER}/follows/k1").json()["changed"] is True
    assert list(Event.objects.order_by("timestamp").values_list("event_type", flat=True)) == [
        "follow", "unfollow", "follow",
    ]  # fmt: skip
    assert relations.followed_creators("mia") == {"k1"}


def test_a_follow_that_the_client_sent_is_known(server):
    send(server, "post", "/api/v1/events", {"events": [make_event("follow", user_id="mia", creator_id="k1")]})
    assert server.put(f"{USER}/follows/k1").json()["changed"] is False


def test_two_devices_at_once_make_one_event(server, monkeypatch):
    told = relations._last_word("mia", "c1", relations._KINDS["hidden"])
    # Both have read before either has written.
    monkeypatch.setattr(relations, "_last_word", lambda *_: told)
    assert [server.put(f"{USER}/hidden/c1").json()["changed"] for _ in range(2)] == [True, False]
    assert Event.objects.count() == 1


def test_what_was_hidden_comes_back_when_it_is_taken_back(server):
    assert server.put(f"{USER}/hidden/c1").json()["active"] is True
    assert server.delete(f"{USER}/hidden/c1").json()["changed"] is True
    assert server.delete(f"{USER}/hidden/c1").json()["changed"] is False
    history = queries.recent_history("mia")
    assert history.content_id.tolist() == ["c1", "c1"]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("target", ["x" * 201, "a%00b", "%20"])
def test_an_impossible_target_is_refused(server, word, target):
    assert code_of(server.put(f"{USER}/{word}/{target}"))[0] == 400


@pytest.mark.parametrize(
    ("method", "path", "most"),
    [
        ("get", "/preferences", 1),
        ("patch", "/preferences", 5),
        ("put", "/blocks/k1", 5),
        ("put", "/follows/k1", 8),
        ("put", "/hidden/k1", 8),
    ],
)
def test_wishes_cost_few_queries(as_user, django_assert_max_num_queries, method, path, most):
    client = as_user("mia")
    send(client, method, f"{USER}{path}2", {})
    with django_assert_max_num_queries(most):
        assert send(client, method, USER + path, {} if method == "patch" else None).status_code == 200


def test_the_last_word_of_a_path_is_the_route(server):
    server.put("/api/v1/users/a/follows/b/follows/c")
    event = Event.objects.get()
    assert (event.user_id, event.creator_id) == ("a/follows/b", "c")
    assert server.get("/api/v1/users/a/preferences/preferences").json()["user_id"] == "a/preferences"


def test_ids_that_end_like_a_route_are_named_in_the_query(server, as_user):
    strange = "a/preferences"
    body = {"demographics": {"country": "DE"}}
    assert server.put(f"/api/v1/users?user_id={strange}", body, format="json").status_code == 201
    assert server.get("/api/v1/users", {"user_id": strange}).json()["demographics"] == {"country": "DE"}
    assert code_of(as_user("ben").get("/api/v1/users", {"user_id": strange})) == (403, "forbidden_user")
    assert code_of(server.get("/api/v1/users"))[0] == 400
    path = "/api/v1/contents?content_id=c/similar"
    assert server.put(path, {"creator_id": "k1"}, format="json").status_code == 201
    assert server.get(path).json()["content_id"] == "c/similar"
    assert code_of(as_user("ben").put(path, {"creator_id": "k1"}, format="json")) == (403, "server_key_required")


def test_a_refusal_that_left_the_log_is_still_known(server):
    at = timezone.now() - timedelta(days=900)
    Refusal.objects.create(event_id=uuid.uuid4(), event_type="hide", user_id="mia", content_id="c1", timestamp=at)
    assert server.put(f"{USER}/hidden/c1").json()["changed"] is False
    assert server.delete(f"{USER}/hidden/c1").json()["changed"] is True
