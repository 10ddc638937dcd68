"""Columnar reads against what the ORM says of the same rows."""

import uuid
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import connection

from events import catalogue, queries
from events.catalogue import NewContent, NewProfile
from events.cleaning.rules import Sending
from events.cleaning.schema import EVENT_TYPES
from events.columnar.interactions import ABSENT
from events.ingestion import ingest
from events.models import Event, EventId, UserProfile
from events.sessions import rebuild_sessions
from tests.events.conftest import NOW, make_event

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=1)


def texts(codes, vocabulary):
    return [None if code == ABSENT else vocabulary[code] for code in codes]


@pytest.fixture
def log() -> list[Event]:
    """Two hundred varied events, many at the same moment, ids that look like numbers and NULLs."""
    rng = np.random.default_rng(5)
    users = ["712", "NA", "null", 'ünï, "quoted"', "0012", "nan"]
    events = []
    for number in range(200):
        name = EVENT_TYPES[int(rng.integers(len(EVENT_TYPES)))]
        moment = NOW - timedelta(seconds=int(rng.integers(60)), microseconds=int(rng.integers(2)) * 123)
        fields = {"user_id": users[int(rng.integers(len(users)))], "content_id": f"{int(rng.integers(9))}"}
        if number % 3 == 0:
            fields |= {"session_id": f"s{number % 5}", "request_id": str(uuid.UUID(int=number % 7))}
        if name in {"follow", "unfollow"}:
            fields["content_id"] = None
        if name == "view" and number % 2:
            fields |= {"watch_duration": None, "long_view": bool(number % 4 == 1)}
        events.append(make_event(name, timestamp=moment, **fields))
    report = ingest(events, now=NOW, source="test", historical=True)
    assert report.accepted == 200, report.rejected
    return list(Event.objects.order_by("timestamp", "event_id"))


def test_the_log_as_columns_equals_the_rows(log):
    columns = queries.interactions_between(None, LATER)
    assert len(columns) == len(log)
    assert [EVENT_TYPES[code] for code in columns.event_type] == [row.event_type for row in log]
    assert texts(columns.user, columns.users) == [row.user_id for row in log]
    assert texts(columns.content, columns.contents) == [row.content_id for row in log]
    assert texts(columns.creator, columns.creators) == [row.creator_id for row in log]
    assert texts(columns.session, columns.sessions) == [row.session_id for row in log]
    assert texts(columns.request, columns.requests) == [row.request_id and str(row.request_id) for row in log]
    np.testing.assert_allclose(columns.timestamp, [row.timestamp.timestamp() for row in log], rtol=0, atol=1e-6)
    watched = [row.additional_info.get("watch_duration", np.nan) for row in log]
    np.testing.assert_array_equal(columns.watch_s, np.array(watched, np.float32))
    flags = {None: -1, False: 0, True: 1}
    assert columns.long_view.tolist() == [flags[row.additional_info.get("long_view")] for row in log]


def test_columns_have_the_promised_types(log):
    for columns in (queries.interactions_between(None, LATER), queries.interactions_between(LATER, LATER)):
        assert columns.event_type.dtype == np.uint8
        for name in ("user", "content", "creator", "session", "request"):
            assert getattr(columns, name).dtype == np.int32
        for name in ("users", "contents", "creators", "sessions", "requests"):
            assert getattr(columns, name).dtype == object
        assert (columns.timestamp.dtype, columns.watch_s.dtype) == (np.float64, np.float32)
        assert columns.long_view.dtype == np.int8


def test_a_window_holds_its_start_and_not_its_end(log):
    moments = sorted({row.timestamp for row in log})
    start, end = moments[3], moments[-3]
    columns = queries.interactions_between(start, end)
    assert len(columns) == Event.objects.filter(timestamp__gte=start, timestamp__lt=end).count()
    assert columns.timestamp[0] == start.timestamp()
    assert columns.timestamp[-1] < end.timestamp()


def test_types_restrict_the_columns(log):
    columns = queries.interactions_between(None, LATER, types={"like", "skip"})
    assert len(columns) == Event.objects.filter(event_type__in=["like", "skip"]).count() > 0
    assert {EVENT_TYPES[code] for code in columns.event_type} == {"like", "skip"}
    with pytest.raises(ValueError, match="dance"):
        queries.interactions_between(None, LATER, types=["dance"])


def test_what_bots_and_staff_do_can_be_left_out():
    plain = [make_event("like", user_id="anna"), make_event("like", user_id="staff")]
    marked = Sending(internal=frozenset({"staff"}))
    assert ingest(plain, now=NOW, source="test", sending=marked).accepted == 2
    crawled = [make_event("like", user_id="crawler")]
    assert ingest(crawled, now=NOW, source="test", sending=Sending(bot=True)).accepted == 1
    everybody, people = (queries.interactions_between(None, LATER, people_only=only) for only in (False, True))
    assert sorted(everybody.users) == ["anna", "crawler", "staff"]
    assert people.users.tolist() == ["anna"]


def test_the_last_sessions_come_newest_first(django_assert_num_queries):
    times = [NOW - timedelta(hours=hours) for hours in (1, 5, 9)]
    events = [make_event("like", user_id=user, timestamp=moment) for user in ("a", "b") for moment in times]
    assert ingest(events, now=NOW, source="test", historical=True).accepted == 6
    rebuild_sessions(until=NOW)
    with django_assert_num_queries(1):
        found = queries.recent_sessions("a", limit=2)
    assert [visit.started_at for visit in found] == times[:2]
    assert {visit.events for visit in found} == {1}


def test_an_empty_log_has_no_span_and_no_columns():
    assert queries.log_span() is None
    assert len(queries.interactions_between(None, LATER)) == 0


def test_the_span_runs_from_the_first_to_the_last_event(log):
    assert queries.log_span() == (log[0].timestamp, log[-1].timestamp)


def test_history_is_the_users_last_events_oldest_first(log, django_assert_num_queries):
    with django_assert_num_queries(1):
        history = queries.recent_history("712", limit=10)
    rows = [row for row in log if row.user_id == "712" and row.event_type != "content_upload"]
    newest = [row.timestamp.timestamp() for row in rows][-10:]
    np.testing.assert_allclose(history.timestamp[-10:], newest, rtol=0, atol=1e-6)
    everything = queries.recent_history("712")
    assert sorted(zip(everything.event_type.tolist(), everything.content_id, strict=True)) == sorted(
        (EVENT_TYPES.index(row.event_type), row.content_id or "") for row in rows
    )
    flags = {None: -1, False: 0, True: 1}
    assert sorted(everything.long_view.tolist()) == sorted(flags[row.additional_info.get("long_view")] for row in rows)
    watched = [row.additional_info.get("watch_duration", np.nan) for row in rows]
    np.testing.assert_array_equal(np.sort(everything.watch_s), np.sort(np.array(watched, np.float32)))


def test_what_a_user_refused_is_remembered_beyond_the_limit(django_assert_num_queries):
    refused = [
        make_event(name, user_id="ann", content_id=name, timestamp=(NOW - timedelta(days=9)).isoformat(), **fields)
        for name, fields in (("hide", {}), ("report", {"reason": "spam"}), ("like", {}))
    ]
    later = [make_event("impression", user_id="ann", content_id=f"c{number}") for number in range(5)]
    other = [make_event("hide", user_id="bob", content_id="not-anns")]
    assert not ingest([*refused, *later, *other], now=NOW, source="test").rejected
    with django_assert_num_queries(1):
        history = queries.recent_history("ann", limit=5)
    assert sorted(history.content_id[:2]) == ["hide", "report"]
    assert sorted(history.content_id[2:]) == [f"c{number}" for number in range(5)]


def test_a_refusal_at_the_very_moment_where_the_limit_cuts_is_remembered():
    events = [make_event("hide", content_id=f"c{number}", user_id="ann") for number in range(4)]
    ingest(events, now=NOW, source="test")
    assert sorted(queries.recent_history("ann", limit=2).content_id) == ["c0", "c1", "c2", "c3"]


def test_a_history_from_many_months_is_one_statement_whose_plan_is_kept(django_assert_num_queries):
    months = [datetime(2022 + number // 12, number % 12 + 1, 7, tzinfo=UTC) for number in range(59)]
    events = [make_event("view", timestamp=month, content_id=f"c{n:02}") for n, month in enumerate(months)]
    assert ingest(events, now=NOW, source="test", historical=True).accepted == 59
    for limit, expected in ((1000, 59), (3, 3), (59, 59)):
        with django_assert_num_queries(1):
            history = queries.recent_history("u1", limit=limit)
        assert history.content_id.tolist() == [f"c{n:02}" for n in range(59)][-expected:]
    with connection.cursor() as cursor:
        cursor.execute("SELECT proconfig FROM pg_proc WHERE proname = 'user_history'")
        assert cursor.fetchone() == (["plan_cache_mode=force_generic_plan"],)


def test_an_event_is_found_by_its_id_without_reading_the_log(django_assert_num_queries):
    first, second = make_event(), make_event(timestamp="2026-10-01T00:00:00Z")
    ingest([first, second], now=NOW, source="test")
    event_id = uuid.UUID(second["event_id"])
    with django_assert_num_queries(2):
        event = queries.event(event_id)
    with django_assert_num_queries(1):
        assert queries.event(event_id, at=event.timestamp) == event
    EventId.objects.all().delete()
    assert queries.event(event_id) == event
    assert queries.event(uuid.UUID(int=5)) is None


def test_a_user_nobody_has_seen_has_an_empty_history():
    history = queries.recent_history("nobody")
    assert len(history) == 0
    assert history.watch_s.dtype == np.float32


def register(content_id: str, age_h: int = 0, **fields) -> None:
    catalogue.register_content(NewContent(content_id, "k1", NOW - timedelta(hours=age_h), **fields))


def test_the_catalogue_as_columns_is_in_order_of_id_and_tolerates_odd_metadata():
    register("b", metadata={"caption": "A cat", "tags": ["pets", 5, "cute"], "category": "Animals"}, duration_s=4.5)
    register("B", metadata={"caption": 7, "tags": "pets", "category": ["x"]}, language="de")
    register("ä")
    catalogue.set_moderation_state("B", status="hidden")
    table = queries.catalogue_table()
    assert table.content_id.tolist() == sorted(["b", "B", "ä"])
    assert table.text.tolist() == ["", "A cat pets cute", ""]
    assert table.category.tolist() == ["", "Animals", ""]
    assert table.language.tolist() == ["de", "", ""]
    assert table.active.tolist() == [False, True, True]
    np.testing.assert_array_equal(table.duration_s, np.array([np.nan, 4.5, np.nan], np.float32))
    assert table.upload_timestamp.tolist() == [NOW.timestamp()] * 3


def test_an_empty_catalogue_is_an_empty_table():
    assert len(queries.catalogue_table()) == 0
    assert queries.catalogue_changed_at() is None


def test_moderation_moves_the_time_of_change():
    register("a")
    before = queries.catalogue_changed_at()
    catalogue.set_moderation_state("a", status="hidden")
    assert queries.catalogue_changed_at() > before


def test_newest_contents_are_active_and_newest_first():
    for age_h, content_id in enumerate("abcd"):
        register(content_id, age_h)
    catalogue.set_moderation_state("b", status="removed")
    assert queries.newest_contents(2) == ["a", "c"]


def test_eligible_cards_are_the_cards_of_what_is_eligible():
    for content_id in ("open", "hidden", "kept_out", "of_suspended", "of_once_suspended"):
        catalogue.register_content(NewContent(content_id, f"by_{content_id}", NOW))
    catalogue.impose("hidden", status="hidden")
    catalogue.impose("kept_out", status="active", feed_eligible=False)
    catalogue.set_suspension("by_of_suspended", suspended=True)
    catalogue.set_suspension("by_of_once_suspended", suspended=True, until=NOW - timedelta(days=9_000))
    every = ["open", "hidden", "kept_out", "of_suspended", "of_once_suspended"]
    assert queries.eligible(every) == set(queries.eligible_cards(every)) == {"open", "of_once_suspended"}


def test_only_active_contents_are_eligible(django_assert_num_queries):
    for content_id in "abc":
        register(content_id, metadata={"caption": content_id, "tags": ["t"]})
    catalogue.set_moderation_state("b", status="hidden")
    with django_assert_num_queries(1):
        assert queries.eligible(["a", "b", "unknown"]) == {"a"}
    with django_assert_num_queries(1):
        cards = queries.eligible_cards(["c", "b", "a", "unknown"])
    assert {name: (card.caption, card.tags, card.status) for name, card in cards.items()} == {
        "a": ("a", ("t",), "active"),
        "c": ("c", ("t",), "active"),
    }
    assert queries.content_cards(["b"])["b"].status == "hidden"


@pytest.mark.parametrize("odd", [["cook"], "cook", 7])
def test_a_persona_whose_profile_is_no_object_goes_by_its_id(odd):
    catalogue.update_profile(NewProfile("demo-x"))
    UserProfile.objects.update(preferences=odd, demographics=odd)
    assert queries.demo_personas() == [("demo-x", "demo-x")]


def test_demo_personas_are_the_seeded_users_with_their_label():
    catalogue.update_profile(NewProfile("demo-2", {}, {"persona": "Cook"}))
    catalogue.update_profile(NewProfile("demo-1", {}, {}))
    catalogue.update_profile(NewProfile("u1", {}, {"persona": "No"}))
    assert queries.demo_personas() == [("demo-1", "demo-1"), ("demo-2", "Cook")]


def test_counts_are_exact_for_a_small_log():
    register("a")
    register("b")
    catalogue.set_moderation_state("b", status="hidden")
    ingest([make_event(user_id="u1"), make_event(user_id="u2"), make_event(user_id="u2")], now=NOW, source="test")
    assert queries.counts() == queries.Counts(users=2, contents=2, active_contents=1, events=3)


def test_times_are_utc_seconds():
    event = make_event(timestamp="2026-01-01T02:00:00+02:00")
    ingest([event], now=NOW, source="test")
    expected = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert queries.interactions_between(None, LATER).timestamp.tolist() == [expected]


def test_what_changed_and_what_can_be_understood_of_it():
    described = {"caption": "neon night", "tags": ["city", 5], "category": "urban"}
    catalogue.register_contents(
        [
            NewContent("a", "c", NOW, metadata=described, media_url="/media/a.mp4"),
            NewContent("b", "c", NOW, metadata={"caption": 7}),
        ]
    )
    changes = queries.content_changes(None)
    assert changes.keys() == {"a", "b"}
    assert queries.content_changes(changes["a"]) == changes
    assert queries.content_changes(max(changes.values()) + timedelta(seconds=1)) == {}
    found = {source.content_id: source for source in queries.content_sources(["a", "b", "unknown"])}
    assert found["a"] == queries.ContentSource("a", "neon night city", "urban", "/media/a.mp4", changes["a"])
    assert (found["b"].text, found["b"].category, found["b"].media_url) == ("", "", "")
    assert len(found) == 2


def test_durations_are_those_of_the_catalogue_and_nan_where_unknown():
    assert queries.durations() == {}
    register("a", duration_s=4.5)
    register("b")
    durations = queries.durations()
    assert durations["a"] == 4.5
    assert np.isnan(durations["b"])
    assert len(durations) == 2
