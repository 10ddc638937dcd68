"""What was delivered and never seen stays away for a while, and then competes again."""

from datetime import timedelta

import pytest

from events.catalogue import NewContent, register_contents
from events.models import Content
from events.queries import newest_contents
from ranking.feed import FeedRequest, build_feed
from tests.ranking.feeds import CLIPS_EACH, FAMILIES, NOW, Viewer, ids, page, share_of

CATALOGUE_SIZE = len(FAMILIES) * CLIPS_EACH


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
