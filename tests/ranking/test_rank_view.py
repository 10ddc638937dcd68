"""Given contents in the order for one user, over HTTP."""

import pytest
from django.utils import timezone

from events import preferences
from events.catalogue import (
    NewContent,
    register_content,
    set_moderation_state,
)
from tests.ranking.doors import (
    CLIPS,
    RANK,
    fans,
)
from tests.ranking.feeds import family_of


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
