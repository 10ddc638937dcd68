"""The doors beside the feed: who may ask, what they answer, and that every refusal is JSON that names the value."""

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from events import api_keys, authentication, client_tokens, preferences, queries, relations
from events.catalogue import (
    NewContent,
    NewProfile,
    register_content,
    register_contents,
    set_moderation_state,
    update_profile,
)
from features import trends
from features.models import Trend
from features.trends import TrendKind
from tests.ranking.feeds import CLIPS_EACH, FAMILIES, NOW, WORDS, family_of

PAGE = "https://app.example.com"
DEVICE = "anon:7d1f0c2e-9a55-4b7e"
SIMILAR = "/api/v1/contents/ocean-03/similar"
STATS = "/api/v1/contents/ocean-03/stats"
CREATORS = "/api/v1/users/mia/suggested-creators"
RANK = "/api/v1/rank"
TRENDING = "/api/v1/trending"
CATEGORIES = "/api/v1/categories"
CLIPS = [f"{family}-{clip:02d}" for family in FAMILIES for clip in range(CLIPS_EACH)]


@pytest.fixture(autouse=True)
def _forget_keys():
    authentication.forget_keys()
    yield
    authentication.forget_keys()


def client_of(secret, **headers):
    return APIClient(headers={"Authorization": f"Bearer {secret}", **headers})


@pytest.fixture
def server(db):
    return client_of(api_keys.create_key("tests")[1])


@pytest.fixture
def user(db):
    return client_of(client_tokens.mint("mia", now=timezone.now())[0])


@pytest.fixture
def page(db):
    return client_of(api_keys.create_key("page", kind="publishable", origins=[PAGE])[1], Origin=PAGE)


def refusal(answer):
    assert answer["Content-Type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "details"}
    return answer.status_code, error["code"]


def ids_of(answer, name="content_id"):
    assert answer.status_code == 200, answer.content
    return [item[name] for item in answer.json()["items"]]


def fans(viewer, family="ocean", count=5):
    for clip in range(count):
        viewer.watch(f"{family}-{clip:02d}")


class TestCredentials:
    @pytest.mark.parametrize("path", [SIMILAR, TRENDING, CATEGORIES])
    def test_listings_are_for_every_credential_and_for_nobody_without_one(self, snapshot, server, user, page, path):
        assert [client.get(path).status_code for client in (server, user, page)] == [200] * 3
        assert refusal(APIClient().get(path)) == (401, "unauthorized")

    def test_similar_for_another_user_is_refused(self, snapshot, server, user, page):
        assert user.get(SIMILAR, {"user_id": "mia"}).status_code == 200
        assert server.get(SIMILAR, {"user_id": "ben"}).status_code == 200
        assert page.get(SIMILAR, {"user_id": DEVICE}).status_code == 200
        for client in (user, page):
            assert refusal(client.get(SIMILAR, {"user_id": "ben"})) == (403, "forbidden_user")

    def test_rank_speaks_for_the_user_of_the_token(self, snapshot, server, user, page):
        def ask(client, **body):
            return client.post(RANK, {"content_ids": CLIPS[:2], **body}, format="json")

        assert ask(user).json()["user_id"] == "mia"
        assert ask(server, user_id="ben").json()["user_id"] == "ben"
        assert ask(page, user_id=DEVICE).status_code == 200
        for client in (user, page):
            assert refusal(ask(client, user_id="ben")) == (403, "forbidden_user")
        assert refusal(ask(server)) == (400, "missing_field")
        assert refusal(ask(APIClient(), user_id="mia")) == (401, "unauthorized")

    def test_suggested_creators_are_the_users_own(self, snapshot, server, user, page):
        assert [client.get(CREATORS).status_code for client in (server, user)] == [200, 200]
        assert page.get(f"/api/v1/users/{DEVICE}/suggested-creators").status_code == 200
        assert refusal(user.get("/api/v1/users/ben/suggested-creators")) == (403, "forbidden_user")
        assert refusal(page.get(CREATORS)) == (403, "forbidden_user")
        assert refusal(APIClient().get(CREATORS)) == (401, "unauthorized")

    def test_figures_are_for_the_host_app_alone(self, snapshot, server, user, page):
        assert server.get(STATS).status_code == 200
        for client in (user, page):
            assert client.get(STATS).status_code == 403
        assert refusal(user.get(STATS)) == (403, "server_key_required")
        without = client_of(api_keys.create_key("x", scopes={"feed:read", "content:write"})[1])
        assert refusal(without.get(STATS)) == (403, "missing_scope")

    @pytest.mark.parametrize("path", [SIMILAR, TRENDING, CATEGORIES, CREATORS])
    def test_a_key_without_the_scope_is_refused(self, db, path):
        client = client_of(api_keys.create_key("x", scopes={"events:write"})[1])
        assert refusal(client.get(path)) == (403, "missing_scope")


class TestRefusals:
    @pytest.mark.parametrize(
        ("path", "params", "code", "named"),
        [
            (SIMILAR, {"count": "0"}, "invalid_number", "0"),
            (SIMILAR, {"count": "51"}, "invalid_number", "51"),
            (SIMILAR, {"count": "٣"}, "invalid_number", "count"),
            (SIMILAR, {"limit": "5"}, "unknown_parameter", "limit"),
            (SIMILAR, {"category": ""}, "invalid_request", "category"),
            (SIMILAR, {"category": ["x"] * 51}, "too_many_values", "51"),
            (SIMILAR, {"user_id": "x" * 201}, "invalid_request", "201"),
            (TRENDING, {"window": "2h"}, "invalid_choice", "2h"),
            (TRENDING, {"kind": "sound"}, "invalid_choice", "sound"),
            (TRENDING, {"category": "a\x00"}, "invalid_request", "category"),
            (TRENDING, {"country": "Germany"}, "invalid_country", "Germany"),
            (CATEGORIES, {"window": "1h"}, "unknown_parameter", "window"),
            (CREATORS, {"count": "many"}, "invalid_number", "many"),
        ],
    )
    def test_what_cannot_be_answered_is_named(self, snapshot, server, path, params, code, named):
        answer = server.get(path, params)
        assert refusal(answer) == (400, code)
        assert named in answer.json()["error"]["message"]

    @pytest.mark.parametrize(
        ("body", "named"),
        [
            ({}, "content_ids"),
            ({"content_ids": []}, "content_ids"),
            ({"content_ids": [f"c{n}" for n in range(501)]}, "500"),
            ({"content_ids": ["c1", "c2", "c1"]}, "c1"),
            ({"content_ids": ["c1", 7]}, "content_ids"),
            ({"content_ids": ["a\x00"]}, "content_ids"),
            ({"content_ids": ["c1"], "limit": 3}, "limit"),
            ({"content_ids": ["c1"], "explain": "perhaps"}, "explain"),
        ],
    )
    def test_a_body_that_cannot_be_ranked_is_named(self, server, body, named):
        answer = server.post(RANK, {"user_id": "mia", **body}, format="json")
        assert answer.status_code == 400
        assert named in str(answer.json()["error"])

    @pytest.mark.parametrize("path", ["/api/v1/contents/nothing/similar", "/api/v1/contents/nothing/stats"])
    def test_an_unknown_content_is_named(self, server, path):
        answer = server.get(path)
        assert refusal(answer) == (404, "not_found")
        assert "nothing" in answer.json()["error"]["message"]


class TestSimilar:
    def test_the_nearest_are_of_the_same_family_one_per_creator(self, snapshot, server):
        body = server.get(SIMILAR, {"count": 4}).json()
        assert (body["content_id"], body["fallback_level"]) == ("ocean-03", "similar")
        assert [item["position"] for item in body["items"]] == [0, 1, 2, 3]
        # The past of this world jumps between families, so behaviour may bring in one other; by chance three would be.
        assert [item["content"]["category"] for item in body["items"]].count("ocean") >= 3
        assert body["items"][0]["content"]["category"] == "ocean"
        assert len({item["content"]["creator_id"] for item in body["items"]}) == 4
        scores = [item["score"] for item in body["items"]]
        assert scores == sorted(scores, reverse=True)

    def test_the_content_itself_never_comes(self, snapshot, server):
        assert "ocean-03" not in ids_of(server.get(SIMILAR, {"count": 50}))

    def test_what_moderation_took_away_is_gone_at_once(self, snapshot, server):
        first = ids_of(server.get(SIMILAR))[0]
        set_moderation_state(first, status="hidden")
        assert first not in ids_of(server.get(SIMILAR, {"count": 50}))

    def test_a_withdrawn_content_has_no_neighbours(self, snapshot, server):
        set_moderation_state("ocean-03", status="removed")
        assert refusal(server.get(SIMILAR)) == (404, "not_found")

    def test_a_user_is_not_shown_what_they_met_hid_or_muted(self, snapshot, server, viewer):
        met = ids_of(server.get(SIMILAR))[:2]
        viewer.watch(met[0])
        viewer.do("hide", met[1])
        maker = server.get(SIMILAR).json()["items"][2]["content"]["creator_id"]
        preferences.set_shunned("viewer", maker, "mutes", present=True)
        items = server.get(SIMILAR, {"user_id": "viewer", "count": 50}).json()["items"]
        assert not set(met) & {item["content_id"] for item in items}
        assert maker not in {item["content"]["creator_id"] for item in items}
        assert items

    def test_filters_hold_for_every_level(self, snapshot, server):
        items = server.get(SIMILAR, {"category": ["neon", "fractal"], "count": 50}).json()["items"]
        assert {item["content"]["category"] for item in items} == {"neon", "fractal"}
        assert ids_of(server.get(SIMILAR, {"language": "EN-us"}))
        assert ids_of(server.get(SIMILAR, {"language": "xx"})) == []

    def test_a_content_the_snapshot_does_not_know_starts_with_its_category(self, snapshot, server):
        register_content(NewContent("brand/new", "k", timezone.now(), metadata={"category": "neon"}))
        body = server.get("/api/v1/contents/brand/new/similar", {"count": 5}).json()
        assert body["fallback_level"] == "category"
        assert {item["content"]["category"] for item in body["items"]} == {"neon"}
        assert {item["score"] for item in body["items"]} == {None}

    def test_without_a_snapshot_the_newest_answer(self, catalogue, server):
        body = server.get(SIMILAR, {"count": 5}).json()
        assert (body["fallback_level"], body["snapshot"], len(body["items"])) == ("latest", "", 5)

    def test_ids_that_end_like_the_route_are_reached(self, snapshot, server):
        strange = "ocean/similar"
        register_content(NewContent(strange, "k", timezone.now(), metadata={"category": "ocean"}))
        assert server.get(f"/api/v1/contents/{strange}/similar").json()["content_id"] == strange
        assert server.get(f"/api/v1/contents/{strange}/stats").json()["content_id"] == strange
        assert refusal(server.get(f"/api/v1/contents/{strange}")) == (404, "not_found"), "similar to ocean, unknown"
        assert server.get("/api/v1/contents", {"content_id": strange}).json()["content_id"] == strange


class TestRank:
    def ask(self, client, content_ids, **body):
        answer = client.post(RANK, {"user_id": "viewer", "content_ids": content_ids, **body}, format="json")
        assert answer.status_code == 200, answer.content
        return answer.json()

    def scores(self, client, content_ids, **body):
        """Scores by content; they fade a little between two requests."""
        return {item["content_id"]: item["score"] for item in self.ask(client, content_ids, **body)["items"]}

    def test_the_order_is_the_users_and_no_id_is_lost(self, snapshot, server, viewer):
        fans(viewer)
        asked = CLIPS[5:13] + CLIPS[20:28]
        body = self.ask(server, asked)
        assert (body["fallback_level"], body["model_version"], body["unranked"]) == ("light", "light", [])
        assert sorted(item["content_id"] for item in body["items"]) == sorted(asked)
        assert {family_of(item["content_id"]) for item in body["items"][:8]} == {"ocean"}
        scores = [item["score"] for item in body["items"]]
        assert scores == sorted(scores, reverse=True)

    def test_the_order_of_asking_changes_nothing(self, snapshot, server, viewer):
        fans(viewer)
        assert self.scores(server, CLIPS) == pytest.approx(self.scores(server, CLIPS[::-1]), abs=1e-4)

    def test_the_champion_is_named_and_a_broken_one_gives_way(self, champion, server):
        version = champion()
        body = self.ask(server, CLIPS[:4])
        assert (body["model_version"], body["fallback_level"]) == (version, "ranked")
        champion(float("nan"))
        broken = self.ask(server, CLIPS[:4])
        assert (broken["model_version"], broken["fallback_level"]) == ("light", "light")

    def test_explained_scores_name_their_signals(self, champion, server, viewer):
        champion()
        fans(viewer)
        signals = self.ask(server, CLIPS[8:24], explain=True)["items"][0]["signals"]
        assert {"probability", "taste_cosine", "category_affinity", "creator_affinity", "popularity"} <= set(signals)
        assert 0.0 < signals["probability"] == signals["head_long_view"] < 1.0
        assert signals["term_skip"] == pytest.approx(-6.0 * signals["head_skip"], rel=1e-4)
        terms = [value for name, value in signals.items() if name.startswith("term_")]
        assert signals["value_s"] == pytest.approx(sum(terms), rel=1e-4)
        assert "signals" not in self.ask(server, CLIPS[:2])["items"][0]

    def test_what_cannot_be_ranked_is_listed_with_its_reason(self, snapshot, server, user):
        set_moderation_state("neon-00", status="removed")
        register_content(NewContent("brand-new", "k", timezone.now()))
        stated = {
            "blocked_creators": ["ocean-maker-0"],
            "muted_creators": ["ocean-maker-1"],
            "muted_categories": ["fractal"],
        }
        for user_id in ("viewer", "mia"):
            preferences.replace_preferences(user_id, stated)
        asked = ["nothing", "neon-00", "brand-new", "ocean-00", "ocean-01", "fractal-03", "ocean-02"]
        body = self.ask(server, asked)
        reasons = ["unknown", "withdrawn", "too_new", "blocked_creator", "muted_creator", "muted_category"]
        assert body["unranked"] == [
            {"content_id": each, "reason": reason} for each, reason in zip(asked, reasons, strict=False)
        ]
        assert [item["content_id"] for item in body["items"]] == ["ocean-02"]
        own = user.post(RANK, {"content_ids": asked}, format="json").json()
        assert own["unranked"][1] == {"content_id": "neon-00", "reason": "unknown"}, "moderation is no end user's"

    def test_without_a_snapshot_nothing_is_ranked_and_the_answer_says_so(self, catalogue, server):
        body = self.ask(server, CLIPS[:2])
        assert (body["items"], body["fallback_level"], body["model_version"]) == ([], "none", "none")
        assert {each["reason"] for each in body["unranked"]} == {"too_new"}

    def test_a_user_who_is_not_profiled_is_ranked_like_a_stranger(self, snapshot, server, viewer):
        fans(viewer)
        preferences.change_preferences("viewer", {"profiling": False})
        mine = self.scores(server, CLIPS)
        assert mine == pytest.approx(self.scores(server, CLIPS, user_id="a stranger"), abs=1e-4)
        preferences.change_preferences("viewer", {"profiling": True})
        assert mine != pytest.approx(self.scores(server, CLIPS), abs=1e-2)

    def test_five_hundred_are_ranked_in_few_queries(self, champion, server, viewer, django_assert_max_num_queries):
        champion()
        fans(viewer)
        self.ask(server, CLIPS)
        with django_assert_max_num_queries(5):
            self.ask(server, CLIPS)


class TestTrending:
    @pytest.mark.parametrize("window", ["1h", "24h", "7d"])
    def test_contents_by_what_people_did_lately(self, snapshot, server, window):
        body = server.get(TRENDING, {"window": window, "count": 5}).json()
        assert (body["window"], body["kind"]) == (window, "content")
        scores = [item["score"] for item in body["items"]]
        assert scores == sorted(scores, reverse=True)
        assert all(item["content"] and item["source"] == "counted" for item in body["items"])
        if window != "1h":
            assert len(body["items"]) == 5

    def test_the_week_counts_more_than_the_day(self, snapshot, server):
        day = {i["name"]: i["score"] for i in server.get(TRENDING, {"window": "24h", "count": 50}).json()["items"]}
        week = {i["name"]: i["score"] for i in server.get(TRENDING, {"window": "7d", "count": 50}).json()["items"]}
        common = set(day) & set(week)
        assert common
        assert all(week[each] > day[each] for each in common), "the same events have faded less"

    def test_a_category_narrows_every_kind(self, snapshot, server):
        clips = server.get(TRENDING, {"category": "neon", "count": 50}).json()["items"]
        assert {item["content"]["category"] for item in clips} == {"neon"}
        creators = ids_of(server.get(TRENDING, {"kind": "creator", "category": "neon"}), "name")
        assert creators
        assert all(name.startswith("neon-maker") for name in creators)
        assert ids_of(server.get(TRENDING, {"category": "nowhere"}), "name") == []

    def test_creators_and_tags_are_sums_of_their_contents(self, snapshot, server):
        asked = {"window": "7d", "category": "ocean", "count": 50}
        clips = server.get(TRENDING, asked).json()["items"]
        assert 0 < len(clips) <= CLIPS_EACH
        tags = {i["name"]: i["score"] for i in server.get(TRENDING, {**asked, "kind": "tag"}).json()["items"]}
        assert tags["ocean"] == pytest.approx(sum(item["score"] for item in clips), rel=1e-4)
        assert set(tags) <= {"ocean", *WORDS["ocean"]}
        makers = {i["name"]: i["score"] for i in server.get(TRENDING, {**asked, "kind": "creator"}).json()["items"]}
        for maker, score in makers.items():
            own = sum(item["score"] for item in clips if item["content"]["creator_id"] == maker)
            assert score == pytest.approx(own, rel=1e-4)

    def test_what_rises_within_the_hour_comes_first(self, snapshot, server):
        for kind, name in ((TrendKind.CONTENT, "fractal-09"), (TrendKind.TAG, "spiral"), (TrendKind.CREATOR, "ghost")):
            Trend.objects.create(
                kind=kind, name=name, hour=int(NOW.timestamp() // 3600), z=9.5, observed=40, expected=5, low=2, high=9,
                people=30, against=0, trending=True,
            )  # fmt: skip
        trends.forget()
        first = server.get(TRENDING, {"window": "1h"}).json()["items"][0]
        assert (first["name"], first["source"], first["score"]) == ("fractal-09", "rising", 9.5)
        assert server.get(TRENDING, {"window": "1h", "kind": "tag"}).json()["items"][0]["name"] == "spiral"
        assert "ghost" not in ids_of(server.get(TRENDING, {"window": "1h", "kind": "creator"}), "name")
        set_moderation_state("fractal-09", status="hidden")
        assert "fractal-09" not in ids_of(server.get(TRENDING, {"window": "1h"}), "name")

    @pytest.mark.parametrize("kind", ["content", "creator", "tag"])
    def test_an_empty_catalogue_has_nothing_hot(self, empty_catalogue, server, kind):
        assert server.get(TRENDING, {"kind": kind}).json()["items"] == []

    def test_it_costs_three_queries_at_most(self, snapshot, server, django_assert_max_num_queries):
        server.get(TRENDING)
        with django_assert_max_num_queries(3):
            server.get(TRENDING, {"window": "1h"})


class TestCategories:
    def test_every_category_with_its_active_contents(self, snapshot, server):
        items = server.get(CATEGORIES).json()["items"]
        assert items == [{"category": each, "contents": CLIPS_EACH} for each in sorted(FAMILIES)]

    def test_without_a_snapshot_the_database_is_asked(self, catalogue, server, user):
        register_contents([NewContent("odd", "k", NOW, metadata={"category": 7}), NewContent("none", "k", NOW)])
        answer = server.get(CATEGORIES).json()
        assert answer["as_of"] is None
        assert answer["items"] == [{"category": each, "contents": CLIPS_EACH} for each in sorted(FAMILIES)]


class TestSuggestedCreators:
    def test_a_fan_is_offered_the_makers_of_what_they_watch(self, snapshot, server, viewer):
        fans(viewer)
        items = server.get("/api/v1/users/viewer/suggested-creators", {"count": 3}).json()["items"]
        assert all(item["creator_id"].startswith("ocean-maker") for item in items)
        assert {item["because"] for item in items} <= {"taste", "behaviour", "affinity"}
        assert all(item["content_ids"] for item in items)

    def test_the_followed_blocked_muted_and_hidden_are_left_out(self, snapshot, server, viewer):
        fans(viewer)
        relations.set_relation("viewer", "ocean-maker-0", "follows", present=True, now=timezone.now())
        preferences.set_shunned("viewer", "ocean-maker-1", "blocks", present=True)
        preferences.set_shunned("viewer", "ocean-maker-2", "mutes", present=True)
        viewer.do("hide", "ocean-08")
        offered = ids_of(server.get("/api/v1/users/viewer/suggested-creators", {"count": 50}), "creator_id")
        assert not {f"ocean-maker-{n}" for n in range(4)} & set(offered)
        assert "ocean-maker-4" in offered

    def test_nobody_is_offered_themselves(self, snapshot, server):
        offered = ids_of(server.get("/api/v1/users/neon-maker-1/suggested-creators", {"count": 50}), "creator_id")
        assert "neon-maker-1" not in offered
        assert "neon-maker-2" in offered

    def test_a_user_who_is_not_profiled_gets_the_popular_ones(self, snapshot, server, viewer):
        fans(viewer)
        preferences.change_preferences("viewer", {"profiling": False})
        items = server.get("/api/v1/users/viewer/suggested-creators").json()["items"]
        assert {item["because"] for item in items} == {"popularity"}

    def test_a_creator_with_nothing_left_to_show_is_not_offered(self, snapshot, server):
        for clip in CLIPS:
            if clip.startswith("neon") and int(clip[-2:]) % 5 == 2:
                set_moderation_state(clip, status="removed")
        offered = ids_of(server.get(CREATORS, {"count": 50}), "creator_id")
        assert "neon-maker-2" not in offered

    def test_it_is_empty_before_the_first_snapshot(self, catalogue, server):
        assert server.get(CREATORS).json()["items"] == []

    def test_it_costs_four_queries(self, snapshot, user, django_assert_max_num_queries):
        user.get(CREATORS)
        with django_assert_max_num_queries(4):
            user.get(CREATORS)


class TestStats:
    def test_figures_follow_the_log(self, snapshot, server):
        body = server.get(STATS).json()
        assert set(body["total"]) == set(body["last_7d"])
        assert body["total"]["impressions"] > 0

    def test_it_costs_three_queries(self, snapshot, server, django_assert_max_num_queries):
        server.get(STATS)
        with django_assert_max_num_queries(3):
            server.get(STATS)


class TestDescription:
    def test_every_door_is_described_with_an_example(self, db):
        paths = APIClient().get("/api/schema?format=json").json()["paths"]
        described = {
            "/api/v1/contents/{content_id}/similar": "get",
            "/api/v1/contents/{content_id}/stats": "get",
            "/api/v1/users/{user_id}/suggested-creators": "get",
            "/api/v1/users/{user_id}/preferences": "patch",
            "/api/v1/users/{user_id}/interests": "put",
            "/api/v1/users/{user_id}/blocks/{creator_id}": "put",
            "/api/v1/users/{user_id}/history": "get",
            "/api/v1/users/merge": "post",
            "/api/v1/contents/batch": "post",
            "/api/v1/users/batch": "post",
            RANK: "post",
            TRENDING: "get",
            CATEGORIES: "get",
        }
        for path, method in described.items():
            answer = paths[path][method]["responses"]["200"]["content"]["application/json"]
            assert answer["examples"], path


class TestAudience:
    """Age and country decide at this moment, whatever the snapshot says."""

    def limit(self, content_id, **limits):
        card = queries.content(content_id)
        facts = {each: card[each] for each in ("creator_id", "upload_timestamp", "metadata", "duration_s", "language")}
        register_content(NewContent(content_id, **facts, **limits))

    def test_an_age_limit_holds_in_every_door(self, snapshot, server):
        update_profile(NewProfile("adult", demographics={"birth_year": 1980}))
        first = ids_of(server.get(SIMILAR))[0]
        self.limit(first, age_rating="18")
        for user_id, sees in (("adult", True), ("somebody", False)):
            assert (first in ids_of(server.get(SIMILAR, {"user_id": user_id, "count": 50}))) is sees
            body = server.post(RANK, {"user_id": user_id, "content_ids": [first]}, format="json").json()
            assert body["unranked"] == ([] if sees else [{"content_id": first, "reason": "restricted"}])
        assert first not in ids_of(server.get(TRENDING, {"window": "7d", "count": 50}), "name")

    def test_a_country_leaves_out_what_may_not_be_shown_there(self, snapshot, server):
        first = ids_of(server.get(TRENDING), "name")[0]
        self.limit(first, geo_deny=["DE"])
        assert first in ids_of(server.get(TRENDING, {"country": "fr"}), "name")
        assert first not in ids_of(server.get(TRENDING, {"country": "DE"}), "name")
        assert first not in ids_of(server.get(TRENDING), "name"), "nobody knows where"


class TestTheNextFeed:
    """What is stated through these doors holds on the very next page."""

    @pytest.mark.parametrize("word", ["blocks", "mutes"])
    def test_a_blocked_or_muted_creator_is_gone_and_comes_back(self, snapshot, user, word):
        def makers():
            items = user.get("/api/v1/feed", {"limit": 50}).json()["items"]
            return {item["content"]["creator_id"] for item in items}

        assert "ocean-maker-1" in makers()
        assert user.put(f"/api/v1/users/mia/{word}/ocean-maker-1").json()["changed"] is True
        assert "ocean-maker-1" not in makers()
        assert user.delete(f"/api/v1/users/mia/{word}/ocean-maker-1").json()["changed"] is True
        assert "ocean-maker-1" in makers()

    def test_a_hidden_content_is_gone(self, snapshot, user):
        first = ids_of(user.get("/api/v1/feed", {"limit": 5}))[0]
        user.put(f"/api/v1/users/mia/hidden/{first}")
        assert first not in ids_of(user.get("/api/v1/feed", {"limit": 50}))
