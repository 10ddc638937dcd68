"""The admin's pages of a content, of a user and of the trends: what they show, to whom, and for which ids."""

import re
from datetime import timedelta

import numpy as np
import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from events.catalogue import NewProfile, set_moderation_state, update_profile
from events.models import Content, UserProfile
from events.sessions import rebuild_sessions
from features import pages, store, trends
from features.extraction.assemble import assemble
from features.extraction.definitions import COUNTERS, FEATURES, HALF_LIVES_S
from features.materialize import materialize
from features.models import ContentAnalysis
from tests.features.clips import CLIPS, NOW, days_of_events, raw, register, send
from tests.features.test_trends import a_usual_day, a_wave

ODD_IDS = ["a/b/../c", "100%", "%2F", "ünï ☂", "<script>alert(1)</script>", "..", "a&id=b?#c"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def world(snapshots):
    """A catalogue with a past of three days, its features, sessions and trends."""
    register(CLIPS)
    send(days_of_events(events=600))
    materialize(until=NOW)
    rebuild_sessions(until=NOW)
    trends.refresh(until=NOW)


def log_in(client, *permissions, superuser=False):
    user = User.objects.create_user("staff", is_staff=True, is_superuser=superuser)
    for name in permissions:
        app, _, codename = name.partition(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    client.force_login(user)
    return client


def text_of(response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


class TestContent:
    def test_every_feature_stands_there_with_its_meaning(self, world, client):
        page = pages.content_page("neon-3", now=NOW)
        listed = [feature for feature in FEATURES if feature.block in {"content", "context"}]
        assert [row.name for row in (*page.features, *page.context)] == [feature.name for feature in listed]
        snapshot = store.snapshot()
        at = snapshot.rows(["neon-3"])
        blocks = assemble(pages.History.empty(), snapshot, at, now=NOW)
        assert [row.value for row in page.features] == blocks.content[0].tolist()
        shown = text_of(log_in(client, superuser=True).get(pages.content_url("neon-3")))
        for feature in listed:
            assert feature.name in shown
            assert feature.what in shown.replace("&#x27;", "'")
            assert feature.unit in shown

    def test_a_length_that_is_no_number_is_unknown(self, world, client):
        Content.objects.filter(content_id="neon-3").update(duration_s=float("nan"))
        shown = text_of(log_in(client, superuser=True).get(pages.content_url("neon-3")))
        assert "Length unknown" in shown
        assert "nan" not in shown.lower().split()

    def test_a_default_value_is_told_from_a_known_one(self):
        block = np.array([feature.default for feature in FEATURES if feature.block == "user"], np.float32)
        block[0] += 1
        rows = pages.feature_rows("user", block)
        assert [row.is_default for row in rows] == [False] + [True] * (len(rows) - 1)
        assert [pages.half_life(each) for each in (None, 3600.0, 86_400.0, 7 * 86_400.0)] == ["–", "1 h", "1 d", "7 d"]

    def test_counters_are_those_of_the_snapshot(self, world):
        page = pages.content_page("neon-3", now=NOW)
        snapshot = store.snapshot()
        state = snapshot.counters[snapshot.row_of["neon-3"]]
        shown = {
            (row.signal, label): value
            for row in page.counters
            for label, value in zip(HALF_LIVES_S, row.values, strict=True)
        }
        assert [shown[counter] for counter in COUNTERS] == state.tolist()

    def test_neighbours_are_the_nearest_by_cosine_and_not_the_content_itself(self, world):
        page = pages.content_page("neon-3", now=NOW)
        snapshot = store.snapshot()
        cosine = snapshot.embedding @ snapshot.embedding[snapshot.row_of["neon-3"]]
        assert "neon-3" not in {tile.content_id for tile in page.neighbours}
        assert [tile.score for tile in page.neighbours] == pytest.approx(
            sorted(np.delete(cosine, snapshot.row_of["neon-3"]), reverse=True)[: pages.NEIGHBOURS], abs=1e-6
        )
        assert {tile.content_id.partition("-")[0] for tile in page.neighbours[:6]} == {"neon"}

    def test_a_withdrawn_neighbour_says_so(self, world):
        set_moderation_state("neon-4", status="hidden")
        notes = {tile.content_id: tile.note for tile in pages.content_page("neon-3", now=NOW).neighbours}
        assert notes["neon-4"] == "hidden"
        assert notes["neon-5"] == ""

    def test_a_content_that_nothing_knows_yet_has_a_page(self, client):
        register(["neon-1"])
        shown = log_in(client, superuser=True).get(pages.content_url("neon-1"))
        assert shown.status_code == 200
        for sentence in ("not in the snapshot that serves yet", "have not been looked at yet", "No hour of the log"):
            assert sentence in text_of(shown)

    def test_errors_of_the_analysis_stand_beside_what_was_found(self, world, client):
        ContentAnalysis.objects.create(
            content_id="neon-3", source_updated_at=NOW, state="partial", analysed_at=NOW, attempts=2, took_s=1.5,
            text_state="done", visual_state="failed", visual_code="truncated", visual_detail="the file ends <early>",
            audio_state="missing", language_state="done", language="en", width=640, versions={"text": "sentence-1"},
        )  # fmt: skip
        shown = text_of(log_in(client, superuser=True).get(pages.content_url("neon-3")))
        for part in (
            "Some of it failed",
            "truncated the file ends &lt;early&gt;",
            "sentence-1",
            "640 Pixels.",
            "2 attempts",
        ):
            assert part in shown

    def test_the_series_is_a_chart_and_a_table_of_the_same_numbers(self, world, client):
        send(a_wave("neon-3", people=45))
        trends.refresh(until=NOW)
        page = pages.content_page("neon-3", now=NOW)
        series = trends.series("content", "neon-3")
        assert [row.observed for row in page.series] == series.verdicts.observed[::-1].tolist()
        assert page.chart.observed.count(",") == len(series)
        assert page.chart.band.count(",") == 2 * len(series)
        assert len(page.chart.rising) == series.verdicts.trending.sum() > 0
        shown = log_in(client, superuser=True).get(pages.content_url("neon-3")).content.decode()
        assert page.chart.observed in shown
        assert "View as table" in shown

    def test_addresses_that_are_no_media_are_not_put_into_the_page(self, world, client):
        Content.objects.filter(content_id="neon-3").update(media_url="javascript:alert(1)", thumbnail_url="//evil/x")
        shown = log_in(client, superuser=True).get(pages.content_url("neon-3")).content.decode()
        assert "javascript:alert" not in shown
        assert "//evil" not in shown


class TestUser:
    def test_history_features_taste_and_expectation_are_those_of_serving(self, world):
        page = pages.user_page("u3", now=NOW)
        history = pages.recent_history("u3")
        snapshot = store.snapshot()
        assert sum(count for _, count in page.counts) == len(history)
        assert [row.content_id for row in page.events] == history.content_id[::-1][: pages.EVENTS_SHOWN].tolist()
        blocks = assemble(history, snapshot, snapshot.rows([page.context_of.content_id]), now=NOW)
        assert [row.value for row in page.features] == blocks.user.tolist()
        assert [row.value for row in page.context] == blocks.context[0].tolist()
        scores = [tile.score for tile in page.expected if not tile.note]
        assert scores == sorted(scores, reverse=True)
        rows, _ = snapshot.index.search(pages.taste_vector(history, snapshot), pages.NEIGHBOURS)
        assert [tile.content_id for tile in page.taste] == snapshot.content_id[rows].tolist()
        assert page.sessions
        assert sum(session.events for session in page.sessions) <= len(history)

    def test_unseen_contents_are_expected_before_seen_ones(self, world):
        notes = [tile.note for tile in pages.user_page("u3", now=NOW).expected]
        assert notes == sorted(notes)

    def test_preferences_are_shown_and_demographics_are_not(self, world, client):
        update_profile(NewProfile("u3", {"country": "Atlantis"}, {"language": "pt", "topics": ["<b>sea</b>"]}))
        shown = text_of(log_in(client, superuser=True).get(pages.user_url("u3")))
        assert "pt" in shown
        assert "&lt;b&gt;sea" in shown
        assert "Atlantis" not in shown

    def test_what_was_learned_stands_apart_from_what_is_stated_and_no_dict_is_printed(self, world, client):
        known = {"topics": ["sea", "sky"], "mood": {"calm": 0.5}, "learned": {"categories": {"cars": -0.25}}}
        update_profile(NewProfile("u3", {}, known))
        page = pages.user_page("u3", now=NOW)
        assert [(row.name, row.about, row.value) for row in page.stated] == [
            ("mood", "calm", "0.5"),
            ("topics", "", "sea, sky"),
        ]
        assert [(row.name, row.about, row.value) for row in page.learned] == [("categories", "cars", "-0.25")]
        shown = text_of(log_in(client, superuser=True).get(pages.user_url("u3")))
        assert shown.index("sea, sky") < shown.index("Learned from feedback") < shown.index("-0.25")
        assert "{&#x27;" not in shown

    @pytest.mark.parametrize("odd", [["<b>sea</b>", "sky"], "<b>sea</b>", 7, {"topics": {"a": [1]}, "learned": "much"}])
    def test_preferences_and_demographics_of_any_shape_have_a_page(self, odd, world, client):
        update_profile(NewProfile("u3", {}, {}))
        UserProfile.objects.filter(user_id="u3").update(preferences=odd, demographics=odd)
        shown = log_in(client, superuser=True).get(pages.user_url("u3"))
        assert shown.status_code == 200
        assert "<b>sea" not in shown.content.decode()
        assert ("&lt;b&gt;sea" in text_of(shown)) == ("sea" in str(odd))

    def test_somebody_without_a_profile_or_without_a_past_has_a_page(self, world, client):
        update_profile(NewProfile("nobody-yet", {}, {}))
        UserProfile.objects.filter(user_id="u3").delete()
        log_in(client, superuser=True)
        for user_id, sentence in (("u3", "the host app told nothing"), ("nobody-yet", "No taste yet")):
            assert sentence in text_of(client.get(pages.user_url(user_id)))


class TestWhoMaySee:
    def test_each_page_asks_for_its_own_permissions(self, world, client):
        addresses = [pages.content_url("neon-3"), pages.user_url("u3"), reverse("admin:features_trend_changelist")]
        log_in(client)
        given = [
            ((), [403, 403, 403]),
            (("events.view_content",), [200, 403, 403]),
            (("events.view_userprofile",), [403, 403, 403]),
            (("events.view_userprofile", "events.view_event"), [403, 200, 403]),
            (("features.view_trend",), [403, 403, 200]),
        ]
        for names, answers in given:
            wanted = [Permission.objects.get(codename=name.partition(".")[2]) for name in names]
            User.objects.get().user_permissions.set(wanted)
            assert [client.get(address).status_code for address in addresses] == answers, names

    def test_strangers_are_sent_to_the_log_in(self, client):
        for address in (pages.content_url("x"), pages.user_url("x"), reverse("admin:features_trend_changelist")):
            assert "/admin/login/" in client.get(address).headers["Location"]


class TestIds:
    @pytest.mark.parametrize("odd", ODD_IDS)
    def test_any_characters_make_an_id(self, odd, client):
        register([odd])
        send([raw("like", odd, odd, NOW - timedelta(minutes=1))])
        log_in(client, superuser=True)
        for address, context in ((pages.content_url(odd), "card"), (pages.user_url(odd), "user_id")):
            shown = client.get(address)
            assert shown.status_code == 200
            found = getattr(shown.context["page"], context)
            assert odd == (found if context == "user_id" else found.content_id)
            assert "<script>alert" not in shown.content.decode()

    @pytest.mark.parametrize("unknown", ["nobody", "a\0b", "", "x" * 5000, "%00", "\ud800"])
    def test_an_unknown_id_is_a_page_that_says_so(self, unknown, client):
        log_in(client, superuser=True)
        for name in ("admin:features_content_page", "admin:features_user_page"):
            shown = client.get(reverse(name), {"id": unknown.encode("utf-8", "surrogatepass")})
            assert shown.status_code == 404
            assert ("There is no" if unknown else "Name a") in text_of(shown)

    def test_the_lists_link_to_the_pages(self, world, client):
        update_profile(NewProfile("u/3", {}, {}))
        log_in(client, superuser=True)
        contents = client.get(reverse("admin:events_content_changelist")).content.decode()
        users = client.get(reverse("admin:events_userprofile_changelist")).content.decode()
        for shown, address in ((contents, pages.content_url("neon-3")), (users, pages.user_url("u/3"))):
            assert f'href="{address}"' in shown
            assert client.get(address).status_code == 200


class TestTrends:
    def test_what_rises_is_drawn_and_what_comes_near_is_listed(self, client, snapshots):
        register(CLIPS)
        send(a_usual_day() + a_wave("neon-3", people=45))
        trends.refresh(until=NOW)
        shown = log_in(client, superuser=True).get(reverse("admin:features_trend_changelist"))
        kinds = {kind["name"]: kind for kind in shown.context["kinds"]}
        assert [entry["trend"].name for entry in kinds["content"]["rising"]] == ["neon-3"]
        assert kinds["content"]["rising"][0]["tile"].url == pages.content_url("neon-3")
        assert all(entry["trend"].z > 0 for kind in kinds.values() for entry in kind["watched"])
        rising = kinds["content"]["rising"][0]
        assert rising["chart"].summary in text_of(shown)
        assert [row.trending for row in rising["series"]][:2] == [True, False]
        assert shown.content.decode().count('role="img"') == sum(len(kind["rising"]) for kind in kinds.values())

    def test_before_the_first_hour_there_is_a_page(self, client):
        assert "No hour is counted yet" in text_of(
            log_in(client, superuser=True).get(reverse("admin:features_trend_changelist"))
        )

    def test_nothing_inline_stands_in_any_page(self, world, client):
        log_in(client, superuser=True)
        send(a_wave("neon-3", people=45))
        trends.refresh(until=NOW)
        for address in (
            pages.content_url("neon-3"), pages.user_url("u3"), reverse("admin:features_trend_changelist"),
            pages.content_url("nobody"),
        ):  # fmt: skip
            shown = client.get(address)
            page = shown.content.decode()
            assert "style-src 'self';" in shown.headers["Content-Security-Policy"]
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page)
            assert all("src=" in tag or "application/json" in tag for tag in re.findall(r"<script[^>]*>", page))
            assert not re.search(r'(src|href)="(https?:)?//', page)


class TestMediaOfOtherHosts:
    CDN = "https://cdn.example.com"

    @pytest.fixture
    def elsewhere(self, world):
        address = f"{self.CDN}/neon-4"
        Content.objects.filter(content_id="neon-4").update(media_url=f"{address}.mp4", thumbnail_url=f"{address}.jpg")

    def test_what_a_browser_would_block_is_said_instead_of_left_blank(self, elsewhere, client):
        log_in(client, superuser=True)
        for content_id in ("neon-4", "neon-3"):
            shown = client.get(pages.content_url(content_id))
            assert f'src="{self.CDN}' not in shown.content.decode()
            assert f"{self.CDN}, which MEDIA_ORIGINS does not name" in text_of(shown), content_id

    def test_a_named_origin_is_shown_and_let_in(self, elsewhere, client, settings):
        settings.MEDIA_ORIGINS = (self.CDN,)
        log_in(client, superuser=True)
        for content_id in ("neon-4", "neon-3"):
            shown = client.get(pages.content_url(content_id))
            assert f'src="{self.CDN}/neon-4.' in shown.content.decode()
            assert "MEDIA_ORIGINS" not in text_of(shown)
