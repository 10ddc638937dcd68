"""One page: who gets what, and what never comes."""

from collections import Counter
from datetime import timedelta

import numpy as np
import pytest

from events.catalogue import NewContent, register_contents, set_moderation_state
from events.ingestion import ingest
from features import store, trends
from features.materialize import materialize
from ranking.feed import FeedRequest, build_feed
from ranking.feed_config import USUAL
from ranking.models import Served
from tests.ranking.feeds import (
    CLIP_S,
    CLIPS_EACH,
    FAMILIES,
    NOW,
    Viewer,
    event,
    family_of,
    ids,
    page,
    register_given,
    share_of,
)

CATALOGUE_SIZE = len(FAMILIES) * CLIPS_EACH


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


def test_content_like_what_one_watched_is_found_by_the_vectors_its_host_gave(snapshot, viewer, settings):
    settings.EMBEDDING_DIMENSIONS = 3
    register_given()
    materialize(until=NOW)
    store.forget()
    viewer.watch("given-a")
    feed = page(viewer, limit=50, explain=True)
    found = {item.content_id for item in feed.items if "content_based" in item.explanation.ranks}
    assert found == {"given-b", "given-c"}


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
        # A fifth of the catalogue counts as new, and nobody has met these five: of the sixty positions that are given
        # away to it most are theirs, nine each, and exploration draws them as well.
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
