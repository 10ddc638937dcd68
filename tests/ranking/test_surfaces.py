"""What each surface and each parameter does to a page, and what must not be on it, whatever the surface."""

from datetime import timedelta

import numpy as np
import pytest

from events.catalogue import NewContent, NewProfile, register_content, update_profile
from events.errors import InvalidRequest
from events.ingestion import ingest
from events.queries import content, newest_contents
from features import store, trends
from features.materialize import materialize
from features.models import ContentAnalysis
from ranking.feed import SURFACES, FeedRequest, build_feed
from tests.ranking.feeds import CLIPS_EACH, FAMILIES, NOW, Viewer, event, family_of, ids, page


def limit_content(content_id: str, **limits) -> None:
    known = content(content_id)
    names = ("creator_id", "upload_timestamp", "metadata", "duration_s", "language", "media_url")
    register_content(NewContent(content_id, **{name: known[name] for name in names} | limits))


def follow(viewer: Viewer, creator: str, kind: str = "follow") -> None:
    viewer.now += timedelta(seconds=1)
    raw = event(kind, viewer.user_id, "ocean-00", viewer.now, creator_id=creator)
    assert ingest([raw], now=viewer.now, source="test").accepted == 1


class TestSurfaces:
    def test_latest_is_in_order_of_upload(self, champion, viewer):
        champion()
        feed = page(viewer, surface="latest")
        assert ids(feed) == newest_contents(10)
        assert feed.fallback_level == "latest"
        assert ids(page(viewer, surface="latest", cursor=feed.next_cursor)) == newest_contents(20)[10:]

    def test_following_holds_the_creators_one_follows_and_nobody_else(self, snapshot, viewer):
        assert ids(page(viewer, surface="following")) == []
        follow(viewer, "ocean-maker-1")
        follow(viewer, "neon-maker-2")
        follow(viewer, "fractal-maker-3")
        follow(viewer, "fractal-maker-3", "unfollow")
        feed = page(viewer, surface="following")
        wanted = [
            each for each in newest_contents(64) if content(each)["creator_id"] in {"ocean-maker-1", "neon-maker-2"}
        ]
        # The like that came with following is an event about ocean-00, which is by another creator.
        assert ids(feed) == wanted
        assert (feed.has_more, feed.next_cursor) == (False, None)

    def test_a_creator_shows_that_creator(self, snapshot, viewer):
        feed = page(viewer, surface="creator", creator_id="automata-maker-0")
        assert {item.content.creator_id for item in feed.items} == {"automata-maker-0"}
        assert len(feed.items) == 4

    def test_a_category_shows_that_category_down_to_its_last_clip(self, champion, viewer):
        champion()
        neon = {"surface": "category", "categories": frozenset({"neon"})}
        first = page(viewer, **neon)
        last = page(viewer, cursor=first.next_cursor, **neon)
        shown = ids(first) + ids(last)
        assert last.next_cursor is None
        assert sorted(shown) == [f"neon-{clip:02d}" for clip in range(CLIPS_EACH)]

    def test_trending_begins_with_what_rises(self, snapshot, viewer):
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
        feed = page(viewer, surface="trending")
        assert (ids(feed)[0], feed.fallback_level) == ("ocean-07", "trending")
        popularity = store.snapshot().popularity
        rest = [popularity[store.snapshot().row_of[each]] for each in ids(feed)[1:]]
        assert rest == sorted(rest, reverse=True)

    def test_an_unknown_surface_is_refused(self):
        with pytest.raises(ValueError, match="friends"):
            FeedRequest("u", surface="friends")


class TestParameters:
    def test_without_profiling_the_past_chooses_nothing(self, champion, viewer):
        champion()
        stranger = Viewer("stranger", viewer.now)
        for clip in range(8):
            viewer.watch(f"ocean-{clip:02d}")
        stranger.now = viewer.now
        assert ids(page(viewer, profiling=False)) == ids(page(stranger, profiling=False))

    def test_without_profiling_what_was_hidden_stays_away_and_pages_do_not_repeat(self, snapshot, viewer):
        viewer.do("hide", ids(page(Viewer("stranger"), profiling=False))[0])
        shown = [each for _ in range(5) for each in ids(page(viewer, profiling=False))]
        assert len(set(shown)) == 50
        assert ids(page(Viewer("another"), profiling=False))[0] not in shown

    def test_a_seed_content_turns_the_page_to_its_kind(self, snapshot):
        for family in FAMILIES:
            seed = f"{family}-03"
            feed = page(Viewer(f"seeded by {family}"), seed_content_id=seed)
            plain = page(Viewer(f"not seeded by {family}"))
            assert seed not in ids(feed)
            of_family = [sum(family_of(each) == family for each in ids(found)) for found in (feed, plain)]
            assert of_family[0] > of_family[1]

    def test_a_seed_that_does_not_exist_is_named(self, snapshot, viewer):
        with pytest.raises(InvalidRequest, match="from-nowhere") as refused:
            page(viewer, seed_content_id="from-nowhere")
        assert refused.value.code == "unknown_content"

    def test_no_creator_has_more_than_asked_for(self, champion, viewer):
        champion()
        creators = [item.content.creator_id for item in page(viewer, limit=20, max_per_creator=1).items]
        assert len(creators) == len(set(creators)) == 20

    def test_no_exploration_leaves_every_position_certain_and_more_gives_more_away(self, snapshot):
        def explored(share: float | None) -> int:
            viewer = Viewer(f"explorer {share}")
            viewer.watch("ocean-00")
            items = page(viewer, limit=20, exploration=share, explain=True).items
            return sum(any(move.reason == "exploration" for move in item.explanation.moves) for item in items)

        assert explored(0.0) == 0
        assert explored(0.5) > explored(None) >= 1

    def test_more_diversity_makes_a_broader_page(self, champion):
        champion()

        def spread(diversity: float) -> float:
            viewer = Viewer(f"diverse {diversity}")
            for clip in range(6):
                viewer.watch(f"ocean-{clip:02d}")
            feed = page(viewer, diversity=diversity, exploration=0.0)
            snapshot = store.snapshot()
            vectors = snapshot.embedding[[snapshot.row_of[each] for each in ids(feed)]]
            return float(1.0 - (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)].mean())

        assert spread(1.0) > spread(0.5) >= spread(0.0)

    def test_an_explained_page_names_what_was_watched(self, snapshot, viewer):
        for clip in range(4):
            viewer.watch(f"ocean-{clip:02d}")
        items = page(viewer, explain=True).items
        sentences = {item.explanation.sentence for item in items}
        captions = {content(f"ocean-{clip:02d}")["metadata"]["caption"] for clip in range(4)}
        assert any(f"Because you watched or liked “{caption}”." in sentences for caption in captions)
        assert all(set(item.explanation.ranks) == set(item.sources) - {"latest", "seen_again"} for item in items)
        assert all(item.explanation is None for item in page(viewer).items)


class TestCopies:
    """Media that look the same are one content to whoever looks at them."""

    def copies_of(self, *groups) -> None:
        for number, group in enumerate(groups):
            for each in group:
                ContentAnalysis.objects.create(
                    content_id=each,
                    perceptual_hashes=[number * 0xFFFF_FFFF] * 4,
                    analysed_at=NOW,
                    source_updated_at=NOW,
                )
        materialize(until=NOW)
        store.forget()

    @pytest.mark.parametrize("surface", ["for_you", "latest", "category"])
    def test_a_page_shows_one_of_them(self, snapshot, viewer, surface):
        ocean = {f"ocean-{clip:02d}" for clip in range(CLIPS_EACH)}
        self.copies_of(ocean)
        categories = frozenset(FAMILIES) if surface == "category" else frozenset()
        shown = ids(page(viewer, 49, surface=surface, categories=categories))
        assert len(set(shown) & ocean) == 1
        assert len(shown) == 49, "one of them and all the others"

    def test_without_a_snapshot_they_are_one_content_as_well(self, catalogue, viewer):
        newest = newest_contents(64)
        for number, group in enumerate([newest[:6], newest[6:9], newest[30:32]]):
            for each in group:
                ContentAnalysis.objects.create(
                    content_id=each, perceptual_hashes=[0xFFFF << 16 * number] * 4, analysed_at=NOW,
                    source_updated_at=NOW,
                )  # fmt: skip
        viewer.watch(newest[30])
        first = page(viewer, 20)
        assert first.fallback_level == "latest"
        shown = ids(first) + ids(page(viewer, 40))
        assert len(set(shown) & set(newest[:6])) == len(set(shown) & set(newest[6:9])) == 1
        assert newest[31] not in shown, "a copy of what was watched"

    def test_what_was_seen_or_delivered_on_the_walk_has_no_copies_left(self, snapshot, viewer):
        self.copies_of({"ocean-00", "ocean-01"}, {"neon-00", "neon-01"})
        viewer.watch("ocean-00")
        first = page(viewer, 40)
        shown = ids(first) + ids(page(viewer, 40, cursor=first.next_cursor))[:21]
        # Of 64 contents one was watched, one is its copy, and of two that look the same one is shown.
        assert len(set(shown)) == 61
        assert "ocean-01" not in shown
        assert len({"neon-00", "neon-01"} & set(shown)) == 1


class TestSafety:
    @pytest.mark.parametrize("surface", [each for each in SURFACES if each != "following"])
    def test_what_is_limited_by_age_needs_a_known_age(self, snapshot, surface):
        for clip in range(CLIPS_EACH):
            limit_content(f"ocean-{clip:02d}", age_rating="18")
            limit_content(f"neon-{clip:02d}", age_rating="unknown")
        update_profile(NewProfile("adult", {"birth_year": 1980}))
        update_profile(NewProfile("minor", {"birth_year": 2011}))
        categories = frozenset(FAMILIES) if surface == "category" else frozenset()
        for user_id, visible in (("adult", {"ocean", "fractal", "automata"}), ("minor", {"fractal", "automata"}),
                                 ("nobody knows", {"fractal", "automata"})):  # fmt: skip
            viewer, shown = Viewer(user_id), set()
            for creator in [f"{family}-maker-1" for family in FAMILIES] if surface == "creator" else [None]:
                found = page(viewer, 50, surface=surface, categories=categories, creator_id=creator)
                shown |= {family_of(each) for each in ids(found)}
            assert shown == visible

    def test_the_latest_level_asks_for_age_and_country_too(self, catalogue):
        for clip in range(CLIPS_EACH):
            limit_content(f"ocean-{clip:02d}", age_rating="16")
            limit_content(f"neon-{clip:02d}", geo_allow=["BR"])
            limit_content(f"fractal-{clip:02d}", geo_deny=["DE"])
        families = {
            country: {family_of(each) for each in ids(page(Viewer(f"in {country}"), 50, country=country))}
            for country in ("", "DE", "BR", "FR")
        }
        assert families == {
            "": {"automata"}, "DE": {"automata"}, "BR": {"neon", "fractal", "automata"}, "FR": {"fractal", "automata"},
        }  # fmt: skip

    def test_a_limit_set_after_the_snapshot_holds_at_once_and_the_page_stays_full(self, snapshot, viewer):
        first = ids(page(Viewer("somebody else"), 30))
        for each in first:
            limit_content(each, geo_deny=["DE"])
        feed = page(viewer, 20, country="DE")
        assert not set(ids(feed)) & set(first)
        assert len(feed.items) == 20

    def test_the_profiles_country_counts_unless_the_request_names_one(self, snapshot, viewer):
        limit_content("ocean-00", geo_allow=["DE"])
        update_profile(NewProfile("viewer", {"country": "DE"}))
        assert "ocean-00" in {each for _ in range(2) for each in ids(page(viewer, 50))}
        update_profile(NewProfile("traveller", {"country": "DE"}))
        traveller = Viewer("traveller")
        assert "ocean-00" not in {each for _ in range(2) for each in ids(page(traveller, 50, country="FR"))}

    def test_blocked_and_muted_creators_and_categories_are_gone_from_the_next_page(self, champion, viewer):
        champion()
        first = page(viewer)
        blocked, muted = (first.items[place].content.creator_id for place in (0, 1))
        update_profile(
            NewProfile(
                "viewer", {}, {"blocked_creators": [blocked], "muted_creators": [muted], "muted_categories": ["neon"]}
            )
        )
        shown = [item.content for _ in range(4) for item in page(viewer).items]
        assert not {card.creator_id for card in shown} & {blocked, muted}
        assert "neon" not in {card.category for card in shown}
        again = build_feed(FeedRequest("viewer", cursor=first.next_cursor), now=viewer.now)
        assert not {item.content.creator_id for item in again.items} & {blocked, muted}

    def test_only_languages_asked_for_are_shown(self, snapshot, viewer):
        for clip in range(CLIPS_EACH):
            limit_content(f"ocean-{clip:02d}", language="pt-BR")
            limit_content(f"neon-{clip:02d}", language="")
        materialize(until=NOW)
        store.forget()
        assert {family_of(each) for each in ids(page(viewer, 16, languages=frozenset({"pt"})))} == {"ocean"}
        update_profile(NewProfile("reader", {}, {"languages": ["en"]}))
        assert {family_of(each) for each in ids(page(Viewer("reader"), 50))} == {"fractal", "automata"}
