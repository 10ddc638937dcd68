"""One page: who gets what, what never comes, what is logged, and which level answers when something is missing."""

import uuid
from collections import Counter
from datetime import timedelta

import numpy as np
import pytest

from events.catalogue import NewContent, register_contents, set_moderation_state
from events.ingestion import ingest
from events.models import Content
from events.queries import newest_contents
from features import store, trends
from features.extraction.definitions import FEATURE_SET, FEATURES
from features.materialize import materialize
from ranking import registry
from ranking.feed import Feed, FeedRequest, build_feed
from ranking.feed_config import USUAL
from ranking.models import Served
from tests.ranking.feeds import CLIP_S, CLIPS_EACH, FAMILIES, NOW, Viewer, event, family_of

CATALOGUE_SIZE = len(FAMILIES) * CLIPS_EACH


def page(viewer: Viewer, limit: int = 10, **request) -> Feed:
    viewer.now += timedelta(seconds=1)
    # An id made of the request keeps exploration, and with it the test, the same on every run.
    request_id = uuid.uuid5(uuid.NAMESPACE_OID, f"{viewer.user_id} {viewer.now}")
    return build_feed(FeedRequest(viewer.user_id, limit, **request), now=viewer.now, request_id=request_id)


def ids(feed: Feed) -> list[str]:
    return [item.content_id for item in feed.items]


def share_of(family: str, feed: Feed) -> float:
    return float(np.mean([item.content.category == family for item in feed.items]))


def test_after_fifteen_interactions_most_of_the_page_is_the_family_one_watches(champion):
    champion()
    first, last = [], []
    for family in FAMILIES:
        viewer = Viewer(f"fan of {family}")
        # Short pages: what was delivered and not watched stays away while there is more; a family has sixteen clips.
        first.append(share_of(family, page(viewer, limit=5)))
        for _ in range(3):
            viewer.react(page(viewer, limit=5), family, count=5)
        last.append(share_of(family, page(viewer, limit=5)))
    assert np.mean(first) <= 0.3
    assert np.mean(last) >= 0.6
    assert min(last) >= 0.5


def test_a_new_user_sees_a_broad_page(snapshot, viewer):
    shown = Counter(item.content.category for item in page(viewer).items)
    assert len(shown) >= 3
    assert max(shown.values()) <= 4


@pytest.mark.parametrize("family", FAMILIES)
def test_the_very_first_event_changes_the_next_page(snapshot, family):
    fan, stranger = Viewer("fan"), Viewer("stranger")
    fan.watch(f"{family}-00")
    assert share_of(family, page(fan)) > share_of(family, page(stranger))


def test_a_skipped_family_steps_back(snapshot, viewer):
    for clip in range(4):
        viewer.skip(f"neon-{clip:02d}")
    assert share_of("neon", page(viewer)) <= 0.1


def test_what_was_seen_does_not_come_again_while_there_is_more(snapshot, viewer):
    shown: list[str] = []
    for _ in range(6):
        feed = page(viewer)
        assert not feed.repeats
        viewer.react(feed, "ocean", count=10)
        shown += ids(feed)
    assert len(set(shown)) == 60


def test_when_all_was_seen_the_oldest_comes_again_and_the_answer_says_so(snapshot, viewer):
    order = [f"{family}-{clip:02d}" for clip in range(CLIPS_EACH) for family in FAMILIES]
    for clip in order:
        viewer.do("impression", clip)
    viewer.now += timedelta(hours=1)
    feed = page(viewer)
    assert feed.repeats
    assert ids(feed) == order[:10]
    assert {item.source for item in feed.items} == {"seen_again"}


def test_a_page_is_topped_up_with_repeats(snapshot, viewer):
    order = [f"{family}-{clip:02d}" for clip in range(CLIPS_EACH) for family in FAMILIES]
    for clip in order[:-3]:
        viewer.do("impression", clip)
    feed = page(viewer)
    assert feed.repeats
    assert set(ids(feed)[:3]) == set(order[-3:])
    assert ids(feed)[3:] == order[:7]


@pytest.mark.parametrize("refusal", ["hide", "report"])
def test_what_was_refused_never_returns(snapshot, viewer, refusal):
    hidden = ids(page(viewer))[0]
    extra = {"reason": "spam"} if refusal == "report" else {}
    viewer._send((refusal, extra), clip=hidden)
    for _ in range(8):
        feed = page(viewer)
        assert hidden not in ids(feed)
        viewer.react(feed, family_of(hidden), count=10)
    assert feed.repeats


def test_a_page_fetched_ahead_does_not_repeat_the_one_before(snapshot, viewer):
    first, second = page(viewer), page(viewer)
    assert not set(ids(first)) & set(ids(second))
    viewer.react(first, "ocean", count=7)
    third = page(viewer)
    assert not set(ids(third)) & set(ids(first) + ids(second))


def deliver_all(viewer: Viewer) -> list[str]:
    """Walk through the whole catalogue; returns it in the order of delivery."""
    first = page(viewer, limit=50)
    delivered = ids(first) + ids(page(viewer, limit=50, cursor=first.next_cursor))
    assert len(set(delivered)) == CATALOGUE_SIZE
    return delivered


class TestRelease:
    """What was delivered and never seen stays away while there are two pages of more, and then competes again."""

    def test_time_alone_does_not_bring_back_what_waits(self, snapshot, viewer):
        first = page(viewer, limit=50)
        viewer.now += timedelta(days=30)
        assert not set(ids(page(viewer, limit=7))) & set(ids(first))

    @pytest.mark.parametrize("family", FAMILIES)
    def test_who_fetched_most_of_the_catalogue_still_gets_what_they_watch(self, champion, family):
        """Of 64 clips 50 are delivered before the first is looked at, so a page of new ones would be a bad one."""
        champion()
        viewer = Viewer(f"fan of {family}")
        page(viewer, limit=50)
        for _ in range(3):
            viewer.react(page(viewer), family, count=5)
        assert share_of(family, page(viewer)) >= 0.6

    def test_with_less_than_two_pages_left_all_that_waits_competes_by_rank(self, champion, viewer):
        champion()
        first = ids(page(viewer, limit=50))
        left = {f"{family}-{clip:02d}" for family in FAMILIES for clip in range(CLIPS_EACH)} - set(first)
        assert len(left) == 14
        again = page(viewer, limit=14)
        # The fourteen that are left have no precedence: they were left because others ranked higher.
        assert set(ids(again)) & set(first)
        assert not left <= set(ids(again))
        assert not again.repeats, "nobody has seen them"

    def test_a_snapshot_of_which_nothing_may_be_shown_releases_nothing(self, snapshot, viewer):
        Content.objects.update(status="hidden")
        register_contents(NewContent(f"later-{number:03d}", "maker", NOW) for number in range(100))
        first, second = page(viewer, limit=20), page(viewer, limit=20)
        assert first.fallback_level == second.fallback_level == "latest"
        assert len(set(ids(first)) | set(ids(second))) == 40

    def test_even_when_everything_waits_the_page_is_full(self, snapshot, viewer):
        deliver_all(viewer)
        feed = page(viewer)
        assert (len(feed.items), feed.repeats) == (10, False)

    def test_what_was_seen_comes_behind_all_that_waits(self, snapshot, viewer):
        delivered = deliver_all(viewer)
        for content_id in delivered[:10]:
            viewer.do("impression", content_id)
        for content_id in delivered[12:CATALOGUE_SIZE]:
            viewer.do("impression", content_id)
        feed = page(viewer)
        assert set(ids(feed)[:2]) == set(delivered[10:12])
        assert ids(feed)[2:] == delivered[:8]
        assert [item.source == "seen_again" for item in feed.items] == [False] * 2 + [True] * 8

    def test_a_walk_may_take_what_another_one_left_but_never_its_own(self, snapshot, viewer):
        other = ids(page(viewer, limit=40))
        shown, cursor = [], None
        while True:
            feed = page(viewer, cursor=cursor)
            shown += ids(feed)
            cursor = feed.next_cursor
            if cursor is None:
                break
        assert len(shown) == len(set(shown)) == CATALOGUE_SIZE
        # The first page still found two pages that were on none; the second one less than that.
        assert not set(shown[:10]) & set(other)
        assert set(shown[10:20]) & set(other)

    def test_a_walk_ends_where_it_has_delivered_all_and_the_next_one_begins_anew(self, snapshot, viewer):
        feed = page(viewer, limit=50)
        assert feed.has_more
        last = page(viewer, limit=50, cursor=feed.next_cursor)
        assert (len(last.items), last.has_more, last.next_cursor) == (14, False, None)
        exact = [page(Viewer("another"), limit=32)]
        exact.append(page(Viewer("another", viewer.now), limit=32, cursor=exact[0].next_cursor))
        assert (len(exact[1].items), exact[1].has_more) == (32, False), "full, and yet the last"
        again = build_feed(FeedRequest("another", 32, cursor=exact[0].next_cursor), now=viewer.now)
        assert (again.replayed, again.has_more, again.next_cursor) == (True, False, None)
        assert len(page(viewer, limit=50).items) == 50

    def test_what_age_and_country_exclude_does_not_count_as_left(self, snapshot, viewer):
        """The snapshot has 24 contents that were on no page; the database shows this user 4 of them."""
        first = ids(page(viewer, limit=40))
        left = sorted({f"{family}-{clip:02d}" for family in FAMILIES for clip in range(CLIPS_EACH)} - set(first))
        for content_id in left[4:]:
            Content.objects.filter(content_id=content_id).update(age_rating="18")
        feed = page(viewer)
        assert len(feed.items) == 10
        assert not feed.repeats
        assert set(ids(feed)) & set(first)

    def test_without_a_snapshot_it_is_the_same(self, catalogue, viewer):
        first = ids(page(viewer, limit=50))
        assert ids(page(viewer, limit=7)) == newest_contents(57)[50:]
        assert ids(page(viewer)) == newest_contents(10)
        for content_id in first:
            viewer.do("impression", content_id)
        feed = page(viewer, limit=20)
        assert ids(feed)[:14] == newest_contents(64)[50:]
        assert feed.repeats


def test_withdrawn_contents_are_not_shown_and_the_page_stays_full(snapshot, viewer):
    withdrawn = ids(page(Viewer("somebody else")))
    for content_id in withdrawn:
        set_moderation_state(content_id, status="hidden")
    feed = page(viewer)
    assert not set(ids(feed)) & set(withdrawn)
    assert len(feed.items) == 10


def test_excluded_contents_stay_away(snapshot, viewer):
    unwanted = frozenset(ids(page(Viewer("somebody else"))))
    assert not set(ids(page(viewer, exclude=unwanted))) & unwanted


def test_a_full_page_has_more_behind_it(snapshot, viewer):
    assert page(viewer).has_more


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


def test_the_page_says_what_each_source_found_and_what_it_alone_found(snapshot, viewer):
    viewer.watch("ocean-00")
    account = page(viewer).account
    assert set(account.alone) == set(account.retrieved)
    assert all(account.alone[name] <= account.retrieved[name] for name in account.alone)
    assert sum(account.alone.values()) > 0


def test_the_log_names_the_numbers_the_page_was_made_by(snapshot, viewer):
    feed = page(viewer)
    assert set(Served.objects.filter(request_id=feed.request_id).values_list("config", flat=True)) == {USUAL.version}


def test_creators_one_follows_are_proposed_on_the_usual_feed(snapshot, viewer):
    viewer.now += timedelta(seconds=1)
    raw = event("follow", viewer.user_id, "neon-03", viewer.now, creator_id="neon-maker-3")
    assert ingest([raw], now=viewer.now, source="test").accepted == 1
    feed = page(viewer)
    theirs = [item for item in feed.items if item.content.creator_id == "neon-maker-3"]
    assert theirs
    assert all("following" in item.sources for item in theirs)
    assert page(viewer, profiling=False).account.retrieved["following"] == 0


def test_what_trends_is_proposed_within_a_second(snapshot, viewer):
    clips = [f"{family}-{clip:02d}" for family in FAMILIES for clip in range(CLIPS_EACH)]
    usual = [
        event("like", f"x{user}", clips[(12 * hour + user) % 64], NOW - timedelta(hours=hour + 0.5))
        for hour in range(16)
        for user in range(12)
    ]
    wave = [event("like", f"u{user}", "ocean-07", NOW - timedelta(seconds=1 + user)) for user in range(60)]
    assert ingest(usual + wave, now=NOW, source="test").accepted == len(usual) + 60
    trends.refresh(until=NOW)
    trends.forget()
    feed = page(viewer, limit=50)
    assert feed.account.retrieved["trending"] == 1
    assert "trending" in next(item.sources for item in feed.items if item.content_id == "ocean-07")


class TestNewContents:
    """A new upload is shown to some people, whatever the model thinks of it."""

    def upload(self, count: int) -> set[str]:
        ids = {f"new-{number}" for number in range(count)}
        register_contents(
            NewContent(each, f"novice-{each}", NOW - timedelta(hours=1), {"caption": each}, duration_s=CLIP_S)
            for each in ids
        )
        materialize(until=NOW)
        store.forget()
        return ids

    def test_each_of_them_is_met_by_some_people_although_nothing_is_known_of_it(self, champion):
        champion()
        new = self.upload(5)
        shown, alone = Counter(), Counter()
        for number in range(60):
            shown.update(new & set(ids(page(Viewer(f"u-{number}"), limit=20))))
            alone.update(new & set(ids(page(Viewer(f"v-{number}"), limit=20, exploration=0.0))))
        # 23 contents are new and were met by less than fifty people; half of them share sixty positions.
        assert min(shown[each] for each in new) >= 5
        assert alone.total() == 0

    def test_without_exploration_nothing_is_guaranteed(self, champion, viewer):
        champion()
        self.upload(5)
        moves = [
            move.reason for item in page(viewer, exploration=0.0, explain=True).items for move in item.explanation.moves
        ]
        assert "guaranteed_exposure" not in moves
        moves = [move.reason for item in page(viewer, limit=20, explain=True).items for move in item.explanation.moves]
        assert "guaranteed_exposure" in moves


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


@pytest.mark.parametrize("limit", [0, 51, -1])
def test_an_impossible_limit_is_refused(limit):
    with pytest.raises(ValueError, match=str(limit)):
        FeedRequest("u", limit)


def test_contents_unknown_to_the_snapshot_are_no_error(snapshot, viewer):
    viewer.watch("from-elsewhere")
    viewer.do("hide", "from-nowhere")
    assert len(page(viewer).items) == 10


def test_now_is_the_only_clock(snapshot):
    first = build_feed(FeedRequest("a"), now=NOW)
    assert set(Served.objects.filter(request_id=first.request_id).values_list("served_at", flat=True)) == {NOW}
