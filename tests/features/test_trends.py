"""Trends from the log to the list: what is found, what is not, what is counted again, and what serving reads."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from events.catalogue import set_moderation_state
from events.cleaning.rules import Sending
from events.ingestion import ingest
from events.models import Event, WindowFill
from features import tasks, trends
from features.models import Trend, TrendHour, TrendPoint
from features.trend_counts import FAMILY, KEPT_HOURS, tag_name
from tests.features.clips import CLIPS, NOW, raw, register, send

pytestmark = pytest.mark.django_db
PEOPLE = 60


@pytest.fixture(autouse=True)
def _fresh():
    trends.forget()
    yield
    trends.forget()


def a_usual_day(*, hours: int = 26, seed: int = 0) -> list[dict]:
    """Twenty of sixty people like two random clips every hour, up to an hour before NOW."""
    rng = np.random.default_rng(seed)
    rows = []
    for ago in range(1, hours + 1):
        for user in rng.choice(PEOPLE, 20, replace=False):
            at = NOW - timedelta(hours=ago, seconds=float(rng.uniform(0, 1500)))
            rows += [raw("like", f"u{user}", clip, at) for clip in rng.choice(CLIPS, 2, replace=False)]
    return rows


def a_wave(content: str, *, people: int, at=NOW) -> list[dict]:
    return [raw("like", f"u{user}", content, at - timedelta(seconds=1 + user)) for user in range(people)]


def names(kind: str) -> list[str]:
    return [trend.name for trend in trends.current(kind, 10)]


@pytest.fixture
def usual():
    register(CLIPS)
    send(a_usual_day())
    trends.refresh(until=NOW)


def test_a_usual_day_has_no_trend(usual):
    assert {kind: names(kind) for kind in trends.KINDS} == {"content": [], "creator": [], "tag": [], "category": []}
    # People do touch things, so there is something to watch.
    assert len(trends.watched("category", 10)) == 3


def test_what_many_people_suddenly_like_trends_with_its_reasons(usual):
    send(a_wave("neon-3", people=45))
    trends.refresh(until=NOW)
    [found] = trends.current("content", 10)
    assert (found.name, found.people, found.trending) == ("neon-3", 45, True)
    assert found.observed >= 45 > found.high > found.expected > found.low >= 0
    assert (found.hour, found.against) == (NOW.replace(minute=0), "the last day")
    assert names("creator") == ["by-3"]
    series = trends.series("content", "neon-3")
    assert series.hour[-1] == found.hour
    assert series.verdicts.z[-1] == pytest.approx(found.z)
    assert series.verdicts.observed[-1] == found.observed


def test_a_tag_trends_across_contents(usual):
    register(["wave-1", "wave-2", "wave-3"])
    send([raw("like", "u1", "wave-1", NOW - timedelta(hours=ago)) for ago in range(1, 26)])
    send([row for clip in ("wave-1", "wave-2", "wave-3") for row in a_wave(clip, people=24)])
    trends.refresh(until=NOW)
    assert names("tag") == ["wave"]
    assert names("category") == ["wave"]
    assert trends.current("tag", 1)[0].people == 24


def test_one_restless_user_makes_no_trend(usual):
    send([raw("like", "bot", "neon-3", NOW - timedelta(seconds=1 + at)) for at in range(1000)])
    trends.refresh(until=NOW)
    assert names("content") == []
    assert trends.series("content", "neon-3").verdicts.people[-1] <= 5


def test_marked_bots_and_staff_make_no_trend(usual):
    rows = a_wave("neon-3", people=45)
    assert ingest(rows[:30], now=NOW, source="test", sending=Sending(bot=True)).accepted == 30
    staff = frozenset(f"u{user}" for user in range(30, 45))
    assert ingest(rows[30:], now=NOW, source="test", sending=Sending(internal=staff)).accepted == 15
    trends.refresh(until=NOW)
    assert names("content") == []


def test_a_trend_that_dies_leaves_the_list(usual):
    send(a_wave("neon-3", people=45))
    trends.refresh(until=NOW)
    assert names("content") == ["neon-3"]
    for hour in range(1, 3):
        later = NOW + timedelta(hours=hour)
        send([raw("like", f"u{user}", CLIPS[user % 24], later - timedelta(minutes=1)) for user in range(40)], now=later)
        trends.refresh(until=later)
    assert names("content") == []


def test_an_imported_log_has_the_trends_of_its_own_last_hour():
    register(CLIPS)
    back = timedelta(days=4 * 365)
    rows = a_usual_day() + a_wave("neon-3", people=45)
    for row in rows:
        row["timestamp"] = (datetime.fromisoformat(row["timestamp"]) - back).isoformat()
    assert ingest(rows, now=NOW, source="test", historical=True).accepted == len(rows)
    trends.refresh(until=NOW)
    [found] = trends.current("content", 10)
    assert (found.name, found.hour) == ("neon-3", (NOW - back).replace(minute=0))


def test_a_new_content_is_measured_by_an_ordinary_one(usual):
    register(["neon-9"])
    send(a_wave("neon-9", people=100))
    trends.refresh(until=NOW)
    [found] = trends.current("content", 10)
    assert (found.name, found.against) == ("neon-9", "an ordinary one")


def test_withdrawn_and_unknown_contents_are_no_trends(usual):
    send(a_wave("neon-3", people=45) + a_wave("not-in-the-catalogue", people=45))
    set_moderation_state("neon-3", status="hidden")
    trends.refresh(until=NOW)
    assert names("content") == []
    set_moderation_state("neon-3", status="active")
    trends.refresh(until=NOW)
    assert names("content") == ["neon-3"]


class TestCounting:
    def test_only_hours_that_changed_are_counted_again(self, usual):
        assert trends.refresh(until=NOW) == trends.TrendReport(0, 0, 0)
        before = set(TrendPoint.objects.values_list("kind", "name", "hour", "people"))
        late = NOW - timedelta(hours=7)
        assert ingest([raw("like", "u1", "neon-3", late)], now=NOW, source="test").accepted == 1
        assert trends.refresh(until=NOW).windows == 1
        changed = before ^ set(TrendPoint.objects.values_list("kind", "name", "hour", "people"))
        assert {hour for _, _, hour, _ in changed} <= {int(late.timestamp()) // 3600}

    def test_hour_by_hour_gives_the_same_as_at_once(self, usual):
        at_once = self.everything()
        TrendPoint.objects.all().delete()
        TrendHour.objects.all().delete()
        WindowFill.objects.filter(family=FAMILY).delete()
        for minutes in range(28 * 60, -1, -37):
            trends.refresh(until=NOW - timedelta(minutes=minutes))
        assert self.everything() == at_once

    def test_erased_events_are_forgotten(self, usual):
        Event.objects.all().delete()
        trends.refresh(until=NOW)
        assert not TrendPoint.objects.exists()
        assert not TrendHour.objects.exists()
        assert len(trends.series("content", "neon-3")) == 0

    def test_a_person_counts_once_per_hour_for_every_kind(self):
        register(["neon-1", "neon-2"])
        hour = NOW - timedelta(minutes=5)
        likes = [raw("like", user, clip, hour) for user in ("a", "b") for clip in ("neon-1", "neon-2")]
        send([*likes, raw("save", "a", "neon-1", hour), raw("impression", "c", "neon-1", hour)])
        trends.refresh(until=NOW)
        found = sorted(TrendPoint.objects.values_list("kind", "name", "people"))
        assert found == [
            (1, "neon-1", 2), (1, "neon-2", 2), (2, "by-1", 2), (2, "by-2", 2), (3, "neon", 2), (4, "neon", 2),
        ]  # fmt: skip
        [row] = TrendHour.objects.all()
        assert (row.people, row.things, row.touches) == (2, [2, 2, 1, 1], [4, 4, 2, 2])

    def test_a_follow_is_engagement_with_the_creator_alone(self):
        row = raw("follow", "a", "", NOW - timedelta(minutes=5), creator_id="by-1")
        del row["content_id"]
        send([row])
        trends.refresh(until=NOW)
        assert list(TrendPoint.objects.values_list("kind", "name", "people")) == [(2, "by-1", 1)]

    def test_what_is_older_than_a_month_is_dropped_and_not_counted_again(self, usual):
        later = NOW + timedelta(hours=KEPT_HOURS)
        send([raw("like", "a", "neon-1", later - timedelta(minutes=1))], now=later)
        trends.refresh(until=later)
        assert TrendHour.objects.order_by("hour").first().hour >= int(later.timestamp()) // 3600 - KEPT_HOURS
        assert trends.refresh(until=later).windows == 0

    def test_when_the_log_ends_earlier_again_what_was_dropped_is_counted_once_more(self, usual):
        before = self.everything()
        later = NOW + timedelta(days=400)
        send([raw("like", "a", "neon-1", later - timedelta(minutes=1))], now=later)
        trends.refresh(until=later)
        assert TrendHour.objects.count() == 1
        Event.objects.filter(timestamp__gt=NOW).delete()
        trends.refresh(until=later)
        assert self.everything() == before

    def test_names_with_commas_quotes_and_line_breaks_survive(self):
        odd = ['a,"b"', "ümlaut/%2F", " \\.", "\\N"]
        register(odd)
        send([raw("like", f"u{user}", each, NOW - timedelta(minutes=1)) for each in odd for user in range(6)])
        trends.refresh(until=NOW)
        assert set(TrendPoint.objects.filter(kind=1).values_list("name", flat=True)) == set(odd)
        assert {trend.name for trend in trends.watched("content", 10)} == set(odd)
        assert [trends.series("content", each).verdicts.people[-1] for each in odd] == [6] * 4

    @pytest.mark.parametrize("tag", ["#Ocean ", "ocean", " OCEAN", "# ocean"])
    def test_tags_are_one_whatever_their_spelling(self, tag):
        assert tag_name(tag) == "ocean"

    @staticmethod
    def everything():
        points = sorted(TrendPoint.objects.values_list("kind", "name", "hour", "people"))
        hours = sorted(map(repr, TrendHour.objects.values_list("hour", "people", "things", "touches")))
        judged = sorted(Trend.objects.values_list("kind", "name", "z", "observed", "expected", "against", "trending"))
        return points, hours, judged


class TestServing:
    def test_the_ids_are_read_at_most_once_a_second(self, usual, django_assert_num_queries):
        send(a_wave("neon-3", people=45))
        trends.refresh(until=NOW)
        with django_assert_num_queries(1):
            found = [trends.trending_contents() for _ in range(50)]
        assert found[0] == ("neon-3",)
        assert all(each is found[0] for each in found)

    def test_a_failing_database_leaves_the_last_known_list(self, usual, monkeypatch, caplog):
        send(a_wave("neon-3", people=45))
        trends.refresh(until=NOW)
        assert trends.trending_contents() == ("neon-3",)
        monkeypatch.setattr(trends, "RECHECK_S", 0.0)
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE trend RENAME TO trend_gone")
            cursor.execute("SAVEPOINT here")
        assert trends.trending_contents() == ("neon-3",)
        assert "serving the last known ones" in caplog.text
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK TO SAVEPOINT here")
            cursor.execute("ALTER TABLE trend_gone RENAME TO trend")

    def test_an_unknown_kind_is_named(self):
        for ask in (lambda: trends.current("person", 1), lambda: trends.series("person", "x")):
            with pytest.raises(ValueError, match="got 'person'"):
                ask()

    def test_a_content_can_be_forgotten(self, usual):
        send(a_wave("neon-3", people=45))
        trends.refresh(until=NOW)
        assert min(trends.forget_thing("content", "neon-3").values()) > 0
        assert names("content") == []
        assert not TrendPoint.objects.filter(kind=1, name="neon-3").exists()


def test_the_tick_refreshes_and_a_quiet_one_is_cheap(usual):
    send(a_wave("neon-3", people=45))
    tasks.refresh_trends(until=NOW.isoformat())
    assert names("content") == ["neon-3"]
    with CaptureQueriesContext(
        connection,
    ) as captured:
        trends.refresh(until=NOW)
    assert len(captured) <= 30
    assert not any("FROM event WHERE" in query["sql"] and "additional_info" in query["sql"] for query in captured)
