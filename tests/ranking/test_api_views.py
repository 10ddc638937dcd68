"""All doors beside the feed: who may ask, what is refused, how they are described, and that the next feed obeys."""

import pytest
from rest_framework.test import APIClient

from events import api_keys, queries
from events.catalogue import (
    NewContent,
    NewProfile,
    register_content,
    update_profile,
)
from tests.ranking.doors import (
    CATEGORIES,
    CLIPS,
    CREATORS,
    DEVICE,
    RANK,
    SIMILAR,
    STATS,
    TRENDING,
    client_of,
    ids_of,
    refusal,
)


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
