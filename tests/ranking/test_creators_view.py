"""Creators to follow, and the figures of a content, over HTTP."""

from django.utils import timezone

from events import preferences, relations
from events.catalogue import (
    set_moderation_state,
)
from tests.ranking.doors import CLIPS, CREATORS, STATS, fans, ids_of


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
