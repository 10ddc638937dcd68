"""Which level answers when something is missing, what is logged of a page, and what it asks the database."""

import numpy as np
import pytest

from events.catalogue import set_moderation_state
from events.queries import newest_contents
from features import trends
from features.extraction.definitions import FEATURE_SET, FEATURES
from ranking import registry
from ranking.models import Served
from tests.ranking.feeds import CLIPS_EACH, FAMILIES, Viewer, ids, page

CATALOGUE_SIZE = len(FAMILIES) * CLIPS_EACH


class TestLevels:
    def test_a_trained_model_ranks(self, champion, viewer):
        version = champion()
        feed = page(viewer)
        assert (feed.fallback_level, feed.model_version) == ("ranked", version)
        assert feed.account.failures == []

    def test_before_the_first_model_session_signals_rank(self, snapshot, viewer):
        feed = page(viewer)
        assert (feed.fallback_level, feed.model_version) == ("light", "light")

    def test_a_model_that_breaks_gives_way_to_session_signals(self, champion, viewer):
        champion(float("nan"))
        feed = page(viewer)
        assert feed.fallback_level == "light"
        assert [stage for stage, _ in feed.account.failures] == ["ranked"]

    def test_without_a_snapshot_the_newest_uploads_come(self, catalogue, viewer):
        feed = page(viewer)
        assert feed.fallback_level == "latest"
        assert ids(feed) == newest_contents(10)

    def test_the_latest_level_does_not_repeat_nor_show_what_was_hidden(self, catalogue, viewer):
        first = page(viewer)
        viewer.react(first, "ocean", count=9)
        viewer.do("hide", ids(first)[9])
        second = page(viewer)
        assert not set(ids(second)) & set(ids(first))
        assert not second.repeats
        everything = page(viewer, limit=50)
        assert ids(first)[9] not in ids(everything)

    def test_a_snapshot_of_withdrawn_contents_falls_back_to_the_database(self, snapshot, viewer):
        for family in FAMILIES[:3]:
            for clip in range(CLIPS_EACH):
                set_moderation_state(f"{family}-{clip:02d}", status="removed")
        for clip in range(CLIPS_EACH):
            viewer.do("impression", f"automata-{clip:02d}")
        feed = page(viewer)
        assert {item.content.category for item in feed.items} == {"automata"}
        assert feed.repeats

    def test_an_empty_catalogue_gives_an_empty_page(self, empty_catalogue, viewer):
        feed = page(viewer)
        assert (feed.items, feed.has_more, feed.fallback_level) == ((), False, "latest")


class TestLog:
    def test_every_position_is_logged_with_what_the_ranker_saw(self, champion, viewer):
        version = champion()
        viewer.watch("ocean-00")
        feed = page(viewer)
        rows = list(Served.objects.filter(request_id=feed.request_id).order_by("position"))
        assert [row.content_id for row in rows] == ids(feed)
        assert [row.position for row in rows] == list(range(10))
        for row, item in zip(rows, feed.items, strict=True):
            assert (row.user_id, row.surface, row.arm, row.served_at) == ("viewer", "for_you", "default", viewer.now)
            assert (row.source, row.sources) == (item.source, list(item.sources))
            assert (row.model_version, row.feature_set) == (version, FEATURE_SET)
            assert row.source in row.sources
            assert 0.0 < row.propensity <= 1.0
            seen = np.frombuffer(bytes(row.features), np.float32)
            assert seen.shape == (len(FEATURES),)
            assert np.isfinite(seen).all()

    def test_one_position_in_ten_tries_something_out_and_what_was_drawn_is_logged_with_its_small_chance(self, snapshot):
        """Half of the budget is drawn, half is guaranteed to new contents; the guarantee is certain for its user."""
        drawn, guaranteed = [], []
        for number in range(40):
            items = page(Viewer(f"stranger {number}"), limit=20, explain=True).items
            reasons = [{move.reason for move in item.explanation.moves} for item in items]
            drawn.append([item for item, why in zip(items, reasons, strict=True) if "exploration" in why])
            guaranteed.append([item for item, why in zip(items, reasons, strict=True) if "guaranteed_exposure" in why])
            assert items[0] not in drawn[-1] + guaranteed[-1]
        assert max(len(each) for each in drawn) == 1
        assert np.mean([len(each) for each in drawn]) >= 0.6
        assert np.mean([len(each) for each in guaranteed]) >= 0.6
        # A slot is one of nineteen positions here.
        assert all(item.propensity <= 1.0 / 19.0 + 1e-6 for each in drawn for item in each)
        logged = dict(Served.objects.values_list("id", "propensity"))
        assert sum(chance <= 1.0 / 19.0 + 1e-6 for chance in logged.values()) >= sum(len(each) for each in drawn)

    def test_the_latest_level_is_logged_without_features(self, catalogue, viewer):
        feed = page(viewer)
        rows = Served.objects.filter(request_id=feed.request_id)
        assert {(row.feature_set, bytes(row.features)) for row in rows} == {("", b"")}

    def test_every_main_source_appears_on_a_page_of_ten(self, snapshot, viewer):
        viewer.watch("ocean-00")
        assert len({item.source for item in page(viewer).items}) >= 3


class TestQueries:
    """Cold caches included: which model serves is read with the user, the trends once a second."""

    @pytest.mark.parametrize("limit", [1, 10, 50])
    def test_a_page_takes_three_and_one_for_the_trends(self, champion, viewer, django_assert_num_queries, limit):
        champion()
        viewer.react(page(viewer), "ocean", count=5)
        registry.forget()
        trends.forget()
        with django_assert_num_queries(4):
            first = page(viewer, limit=limit)
        assert first.fallback_level == "ranked"
        with django_assert_num_queries(3):
            page(viewer, limit=limit, cursor=first.next_cursor)

    def test_a_page_that_was_delivered_before_takes_two(self, champion, viewer, django_assert_num_queries):
        champion()
        cursor = page(viewer).next_cursor
        page(viewer, cursor=cursor)
        with django_assert_num_queries(2):
            assert page(viewer, cursor=cursor).replayed

    def test_a_new_champion_serves_the_next_page_without_a_query_of_its_own(
        self, champion, viewer, django_assert_num_queries
    ):
        champion()
        page(viewer)
        version = champion(0.5)
        with django_assert_num_queries(3):
            assert page(viewer).model_version == version

    def test_an_explained_page_takes_one_more(self, champion, viewer, django_assert_num_queries):
        champion()
        viewer.react(page(viewer), "ocean", count=5)
        with django_assert_num_queries(4):
            page(viewer, explain=True)

    def test_the_latest_level_takes_four(self, catalogue, viewer, django_assert_num_queries):
        with django_assert_num_queries(4):
            page(viewer)
