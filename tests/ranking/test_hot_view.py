"""What is hot, and which categories there are, over HTTP."""

import pytest

from events.catalogue import (
    NewContent,
    register_contents,
    set_moderation_state,
)
from events.models import Content
from events.tags import contents_tagged
from features import trends
from features.models import Trend
from features.trends import TrendKind
from tests.ranking.doors import (
    CATEGORIES,
    TRENDING,
    ids_of,
)
from tests.ranking.feeds import CLIPS_EACH, FAMILIES, NOW, WORDS


def rising(kind, name):
    """Something that many turn to in this hour."""
    Trend.objects.create(
        kind=kind, name=name, hour=int(NOW.timestamp() // 3600), z=9.5, observed=40, expected=5, low=2, high=9,
        people=30, against=0, trending=True,
    )  # fmt: skip
    trends.forget()


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
        rising(TrendKind.CONTENT, "fractal-09")
        rising(TrendKind.TAG, "spiral")
        rising(TrendKind.CREATOR, "ghost")
        first = server.get(TRENDING, {"window": "1h"}).json()["items"][0]
        assert (first["name"], first["source"], first["score"]) == ("fractal-09", "rising", 9.5)
        assert server.get(TRENDING, {"window": "1h", "kind": "tag"}).json()["items"][0]["name"] == "spiral"
        assert "ghost" not in ids_of(server.get(TRENDING, {"window": "1h", "kind": "creator"}), "name")
        set_moderation_state("fractal-09", status="hidden")
        assert "fractal-09" not in ids_of(server.get(TRENDING, {"window": "1h"}), "name")

    @pytest.mark.parametrize("window", ["1h", "24h"])
    def test_what_has_nothing_left_to_show_is_gone_from_the_next_answer(self, snapshot, server, window):
        rising(TrendKind.CREATOR, "ocean-maker-1")
        rising(TrendKind.TAG, "waves")

        def listed(kind):
            return ids_of(server.get(TRENDING, {"window": window, "kind": kind, "count": 50}), "name")

        assert "ocean-maker-1" in listed("creator")
        assert "waves" in listed("tag")
        for row in Content.objects.filter(creator_id="ocean-maker-1"):
            set_moderation_state(row.content_id, status="hidden")
        assert "ocean-maker-1" not in listed("creator")
        assert "ocean-maker-2" in listed("creator")
        for content_id in contents_tagged(["waves"]):
            set_moderation_state(content_id, status="hidden")
        assert "waves" not in listed("tag")

    def test_a_rising_tag_is_listed_however_its_contents_spell_it(self, snapshot, server):
        rising(TrendKind.TAG, "waves")
        for row in Content.objects.filter(content_id__in=contents_tagged(["waves"])):
            row.metadata["tags"] = ["#Waves" if each == "waves" else each for each in row.metadata["tags"]]
            row.save(update_fields=["metadata"])
        items = server.get(TRENDING, {"window": "1h", "kind": "tag"}).json()["items"]
        assert (items[0]["name"], items[0]["source"]) == ("waves", "rising")

    def test_a_creator_whose_contents_are_not_for_this_country_is_not_listed_there(self, snapshot, server):
        Content.objects.filter(creator_id="ocean-maker-1").update(geo_deny=["DE"])
        told = {"kind": "creator", "window": "7d", "count": 50}
        assert "ocean-maker-1" in ids_of(server.get(TRENDING, {**told, "country": "FR"}), "name")
        for country in ({}, {"country": "DE"}):
            assert "ocean-maker-1" not in ids_of(server.get(TRENDING, {**told, **country}), "name")

    @pytest.mark.parametrize("kind", ["content", "creator", "tag"])
    def test_an_empty_catalogue_has_nothing_hot(self, empty_catalogue, server, kind):
        assert server.get(TRENDING, {"kind": kind}).json()["items"] == []

    @pytest.mark.parametrize("kind", ["content", "creator", "tag"])
    def test_it_costs_three_queries_at_most(self, snapshot, server, django_assert_max_num_queries, kind):
        rising(TrendKind.TAG, "spiral")
        server.get(TRENDING)
        with django_assert_max_num_queries(3):
            server.get(TRENDING, {"window": "1h", "kind": kind})


class TestCategories:
    def test_every_category_with_its_active_contents(self, snapshot, server):
        items = server.get(CATEGORIES).json()["items"]
        assert items == [{"category": each, "contents": CLIPS_EACH} for each in sorted(FAMILIES)]

    def test_without_a_snapshot_the_database_is_asked(self, catalogue, server, user):
        register_contents([NewContent("odd", "k", NOW, metadata={"category": 7}), NewContent("none", "k", NOW)])
        answer = server.get(CATEGORIES).json()
        assert answer["as_of"] is None
        assert answer["items"] == [{"category": each, "contents": CLIPS_EACH} for each in sorted(FAMILIES)]
