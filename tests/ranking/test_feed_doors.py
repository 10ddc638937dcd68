"""The feed asked for by a body, by a cursor alone, by a device; filtered, boosted, with some facts only."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from rest_framework.test import APIClient

from events import api_keys, authentication, client_tokens
from events.catalogue import NewContent, register_content, register_contents
from events.models import Content
from ranking.models import Served
from tests.ranking.feeds import NOW, Viewer, family_of

URL, NEXT = "/api/v1/feed", "/api/v1/feed/next"
DEVICE = "7d1f0c2e-9a55-4b7e"


@pytest.fixture
def server(db) -> APIClient:
    authentication.forget_keys()
    _, secret = api_keys.create_key("tests")
    return APIClient(headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def user(db) -> APIClient:
    token, _ = client_tokens.mint("mia", now=timezone.now())
    return APIClient(headers={"Authorization": f"Bearer {token}"})


def ids(answer) -> list[str]:
    assert answer.status_code == 200, answer.json()
    return [item["content_id"] for item in answer.json()["items"]]


def code(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_body_gets_the_page_that_a_query_string_gets(snapshot, server):
    told = {"user_id": "mia", "limit": 6, "surface": "latest", "categories": ["ocean", "neon"]}
    posted = ids(server.post(URL, told, format="json"))
    asked = ids(server.get(URL, {**told, "user_id": "ben", "categories": "ocean,neon"}))
    assert posted == asked
    assert {family_of(each) for each in posted} <= {"ocean", "neon"}
    assert Served.objects.filter(user_id="mia").count() == 6


def test_an_empty_body_asks_for_the_users_own_feed(snapshot, user):
    assert len(ids(user.post(URL))) == 10
    assert Served.objects.filter(user_id="mia").count() == 10


def test_a_body_that_is_none_is_refused_as_everywhere(server):
    assert code(server.post(URL, "{", content_type="application/json")) == (400, "parse_error")
    assert code(server.post(URL, "<a/>", content_type="text/xml")) == (415, "unsupported_media_type")
    assert code(server.post(URL, ["mia"], format="json")) == (400, "invalid_request")
    assert code(server.post(f"{URL}?limit=3", {"user_id": "mia"}, format="json")) == (400, "unknown_parameter")


def test_a_cursor_alone_leads_through_a_walk_with_all_of_its_parameters(snapshot, server):
    told = {"user_id": "mia", "limit": 4, "surface": "category", "categories": ["ocean", "neon"], "max_per_creator": 1,
            "languages": ["en"], "filter": "duration_s < 60", "boost": 'category = "neon" => 1', "country": "DE",
            }  # fmt: skip
    page = server.post(URL, told, format="json").json()
    seen = [item["content_id"] for item in page["items"]]
    for _ in range(4):
        again = server.get(NEXT, {"user_id": "mia", "cursor": page["next_cursor"]}).json()
        same = server.post(URL, {**told, "cursor": page["next_cursor"]}, format="json").json()
        assert {**again, "took_ms": 0} == {**same, "took_ms": 0}
        assert {item["content"]["category"] for item in again["items"]} <= {"ocean", "neon"}
        page = again
        seen += [item["content_id"] for item in page["items"]]
    assert len(seen) == len(set(seen)) == 20


def test_a_page_says_until_when_its_cursor_is_good(snapshot, server):
    page = server.get(URL, {"user_id": "mia"}).json()
    assert parse_datetime(page["expires_at"]) > timezone.now() + timedelta(minutes=30)
    again = server.get(NEXT, {"user_id": "mia", "cursor": page["next_cursor"]}).json()
    retried = server.get(NEXT, {"user_id": "mia", "cursor": page["next_cursor"]}).json()
    # To the second: a page that is read again has its moment from the log.
    assert abs(parse_datetime(retried["expires_at"]) - parse_datetime(again["expires_at"])) < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, (400, "missing_parameter")),
        ({"cursor": "made up"}, (400, "invalid_cursor")),
        ({"cursor": "made up", "limit": "3"}, (400, "unknown_parameter")),
    ],
)
def test_the_next_page_needs_a_cursor_and_takes_no_parameters(server, query, wanted):
    assert code(server.get(NEXT, {"user_id": "mia", **query})) == wanted


def test_the_cursor_of_somebody_else_leads_nowhere(snapshot, server):
    cursor = server.get(URL, {"user_id": "mia"}).json()["next_cursor"]
    assert code(server.get(NEXT, {"user_id": "ben", "cursor": cursor})) == (400, "cursor_mismatch")


def test_parameters_that_are_too_long_to_carry_are_told_with_every_page(snapshot, server):
    told = {"user_id": "mia", "limit": 5, "categories": [*(f"no-such-{'x' * 150}-{n}" for n in range(20)), "neon"]}
    page = server.post(URL, told, format="json").json()
    assert len(page["next_cursor"]) < 400
    answer = server.get(NEXT, {"user_id": "mia", "cursor": page["next_cursor"]})
    assert code(answer) == (400, "missing_parameter")
    assert "too long" in answer.json()["error"]["message"]
    behind = ids(server.post(URL, {**told, "cursor": page["next_cursor"]}, format="json"))
    assert len(behind) == 5
    assert not set(behind) & {item["content_id"] for item in page["items"]}


def test_a_device_has_a_feed_and_a_memory_of_its_own(snapshot, server):
    first = ids(server.get(URL, {"anonymous_id": DEVICE}))
    assert Served.objects.filter(user_id=f"anon:{DEVICE}").count() == 10
    assert not set(first) & set(ids(server.get(URL, {"user_id": f"anon:{DEVICE}"})))


def test_a_publishable_key_asks_for_the_feed_of_its_device(snapshot):
    authentication.forget_keys()
    _, secret = api_keys.create_key("page", kind="publishable", origins=["https://app.example.com"])
    page = APIClient(headers={"Authorization": f"Bearer {secret}", "Origin": "https://app.example.com"})
    assert len(ids(page.get(URL, {"anonymous_id": DEVICE}))) == 10
    assert code(page.get(URL, {"user_id": "mia"})) == (403, "forbidden_user")


def test_a_user_is_no_device(user):
    assert code(user.get(URL, {"anonymous_id": DEVICE})) == (403, "forbidden_user")
    assert code(user.get(URL, {"anonymous_id": "x"})) == (400, "invalid_anonymous_id")


@pytest.mark.parametrize("world", ["catalogue", "snapshot"])
def test_only_what_passes_the_filter_is_shown(world, request, server):
    request.getfixturevalue(world)
    holds = 'category in ("ocean", "neon") and not creator_id = "ocean-maker-0" and duration_s <= 8'
    found = ids(server.get(URL, {"user_id": "mia", "limit": 20, "filter": holds}))
    makers = Content.objects.filter(content_id__in=found).values_list("creator_id", flat=True)
    assert {family_of(each) for each in found} == {"ocean", "neon"}
    assert "ocean-maker-0" not in makers
    assert len(found) == 20


def test_tags_and_ages_are_judged_by_the_database(snapshot, server):
    now = timezone.now()
    register_content(NewContent("young", "k", now - timedelta(hours=2), {"category": "sea", "tags": ["rare", "calm"]}))
    assert ids(server.get(URL, {"user_id": "mia", "surface": "latest", "filter": "age_h < 3"})) == []
    tagged = ids(server.get(URL, {"user_id": "mia", "filter": 'tags in ("waves", "tide")'}))
    rows = Content.objects.filter(content_id__in=tagged)
    assert tagged
    assert all({"waves", "tide"} & set(row.metadata["tags"]) for row in rows)


def test_without_a_snapshot_ages_and_tags_are_judged_all_the_same(catalogue, server):
    now = timezone.now()
    register_contents(
        NewContent(name, "k", now - timedelta(hours=age), {"category": "sea", "tags": tags})
        for name, age, tags in (("young", 2, ["rare"]), ("old", 200, ["rare"]), ("plain", 2, []))
    )
    assert ids(server.get(URL, {"user_id": "mia", "filter": 'age_h < 3 and tags = "rare"'})) == ["young"]
    assert set(ids(server.get(URL, {"user_id": "ben", "filter": 'age_h < 3 and not tags = "rare"'}))) == {"plain"}


@pytest.mark.parametrize("with_model", [False, True])
def test_a_boost_lifts_what_it_names_and_leaves_nothing_out(champion, server, with_model):
    if with_model:
        champion()

    def share(user_id: str, by: float) -> float:
        told = {"user_id": user_id, "limit": 20, "boost": f'category = "fractal" => {by}', "explain": True,
                "diversity": 0.0, "exploration": 0.0}  # fmt: skip
        page = server.post(URL, told, format="json").json()
        for item in page["items"]:
            expected = by if item["content"]["category"] == "fractal" else 0.0
            assert item["explanation"]["signals"]["boost"] == expected
        assert len(page["items"]) == 20
        return sum(item["content"]["category"] == "fractal" for item in page["items"]) / 20

    assert share("lifted", 3.0) > share("lowered", -3.0)


def test_only_the_facts_that_are_asked_for_are_answered(snapshot, server):
    items = server.get(URL, {"user_id": "mia", "include": "caption,media_url"}).json()["items"]
    assert all(set(item["content"]) == {"caption", "media_url"} for item in items)
    assert code(server.get(URL, {"user_id": "mia", "include": "price"})) == (400, "invalid_include")


def test_an_expired_content_is_gone_from_the_next_page_and_from_a_page_that_is_read_again(snapshot, server):
    first = server.get(URL, {"user_id": "mia"}).json()
    second = ids(server.get(NEXT, {"user_id": "mia", "cursor": first["next_cursor"]}))
    Content.objects.filter(content_id__in=second[:3]).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert ids(server.get(NEXT, {"user_id": "mia", "cursor": first["next_cursor"]})) == second[3:]
    others = ids(server.get(URL, {"user_id": "ben", "limit": 50}))
    assert not set(second[:3]) & set(others)
    assert set(others) <= set(Content.objects.filter(expires_at=None).values_list("content_id", flat=True))


def test_the_parameters_cost_no_further_query(champion, user, django_assert_max_num_queries):
    champion()
    viewer = Viewer("mia", now=NOW)
    viewer.watch("ocean-01")
    told = {"filter": 'category != "neon"', "boost": 'category = "ocean" => 1'}
    user.post(URL, told, format="json")
    with django_assert_max_num_queries(4):
        page = user.post(URL, told, format="json").json()
    assert UUID(page["request_id"])


def test_similar_contents_are_filtered_by_the_same_conditions(snapshot, server):
    url = "/api/v1/contents/ocean-03/similar"
    found = ids(server.get(url, {"count": 20, "filter": 'category != "ocean" and tags in ("neon", "fractal")'}))
    assert {family_of(each) for each in found} == {"neon", "fractal"}
    answer = server.get(url, {"filter": "category ="})
    assert code(answer) == (400, "invalid_filter")
    assert "a text in quotes" in answer.json()["error"]["message"]
