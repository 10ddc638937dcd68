"""Stored sessions against the log: whatever order and however late its events come, the rows are those of the log."""

import random
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import sessions, windows
from events.ingestion import ingest
from events.models import Event, EventId, Session, WindowFill
from tests.events.cleaning.test_sessions import plain
from tests.events.conftest import NOW, make_event

pytestmark = pytest.mark.django_db
# operations.md K17: user, day of March 2026, time of day (UTC).
FIXTURE = """
A 01 10:00, A 02 09:00, A 03 10:30, A 08 12:00, B 01 23:30, B 02 00:30, B 04 10:00, C 01 08:00, D 02 12:00,
D 03 11:00, D 09 12:00, E 03 05:00, E 05 05:00, E 05 05:20
"""


def fixture():
    for number, (user, day, clock) in enumerate(entry.split() for entry in FIXTURE.split(",")):
        yield make_event(
            event_id=str(uuid.UUID(int=number + 1)),
            user_id=user,
            timestamp=f"2026-03-{day}T{clock}:00Z",
            content_id="c",
        )


def at(minutes, user="u1", device=None, **fields):
    when = datetime(2026, 11, 20, 10, tzinfo=UTC) + timedelta(minutes=minutes)
    info = None if device is None else {"device": device}
    return make_event(user_id=user, timestamp=when.isoformat(), additional_info=info, **fields)


def take(*events, rebuild=True):
    report = ingest(events, now=NOW, source="test")
    assert report.rejected == ()
    return sessions.rebuild_sessions(until=NOW) if rebuild else None


def empty():
    for model in (Session, WindowFill, Event, EventId):
        model.objects.all().delete()


def stored():
    return list(Session.objects.order_by("key").values_list())


def filled():
    return list(
        WindowFill.objects.order_by("family", "window_start").values_list("family", "window_start", "state", "events")
    )


def lengths(user="u1"):
    rows = Session.objects.filter(user_id=user).order_by("started_at", "device")
    return [(row.events, (row.ended_at - row.started_at).total_seconds()) for row in rows]


def test_the_worked_fixture():
    take(*fixture())
    durations = sorted((row.ended_at - row.started_at).total_seconds() for row in Session.objects.all())
    assert len(durations) == 13
    assert sum(durations) / 13 == pytest.approx(92.3077, abs=5e-5)
    assert durations[6] == 0
    assert [length for length in durations if length] == [1200]


def test_a_shuffled_doubled_late_copy_gives_the_same_rows_byte_for_byte():
    events = list(fixture())
    take(*events)
    expected = stored(), filled()
    empty()
    copy = events * 2
    random.Random(17).shuffle(copy)
    for late in (0, 9, 18):
        take(*copy[late : late + 9])
    take(*copy)
    assert (stored(), filled()) == expected


def test_a_late_event_bridges_two_sessions():
    take(at(0), at(50))
    assert lengths() == [(1, 0), (1, 0)]
    take(at(25))
    assert lengths() == [(3, 3000)]


def test_an_erased_event_leaves_two_sessions():
    take(at(0), at(25, content_id="bridge"), at(50))
    Event.objects.filter(content_id="bridge").delete()
    assert sessions.rebuild_sessions(until=NOW).windows == 1
    assert lengths() == [(1, 0), (1, 0)]


def test_an_erased_user_has_no_sessions():
    take(at(0), at(10), at(5, user="u2"))
    Event.objects.filter(user_id="u1").delete()
    sessions.rebuild_sessions(until=NOW)
    assert (lengths("u1"), lengths("u2")) == ([], [(1, 0)])


def test_each_device_has_its_own_sessions():
    take(at(0, device="phone"), at(20, device="tv"), at(25, device="phone"), at(26))
    assert [(row.device, row.events) for row in Session.objects.order_by("started_at")] == [
        ("phone", 2),
        ("tv", 1),
        ("", 1),
    ]


def test_a_session_ends_with_its_last_watch_and_tells_what_it_was_about():
    take(at(0, event_type="follow", content_id=None), at(1, content_id="first"))
    take(at(2, event_type="view", watch_duration=90.5))
    [row] = Session.objects.all()
    assert (row.ended_at - row.started_at).total_seconds() == 210.5
    assert (row.events, row.views, row.watch_s, row.first_content) == (3, 1, 90.5, "first")


def test_nobody_watches_for_longer_than_there_was_time():
    take(
        at(0, event_type="impression"),
        at(1, event_type="view", watch_duration=600),
        at(2, event_type="impression", content_id="next"),
        at(2.5, event_type="view", content_id="next", watch_duration=40),
        at(3, event_type="impression", content_id="last"),
    )
    [row] = Session.objects.all()
    # A minute to each side of the first view, half a minute around the second, and two seconds more.
    assert (row.watch_s, (row.ended_at - row.started_at).total_seconds()) == (62 + 32, 182)


def test_odd_names_of_devices_and_users_are_stored_as_they_are():
    odd = ["tab\there", "line\nbreak", "back\\slash", '"quoted", comma', "ünï \r", "NULL", "\\N"]
    take(*(at(number, device=name, user="back\\slash") for number, name in enumerate(odd)))
    assert {row.device for row in Session.objects.filter(user_id="back\\slash")} == set(odd)
    assert sessions.rebuild_sessions(until=NOW).windows == 0
    windows.reopen(NOW - timedelta(days=30), NOW)
    report = sessions.rebuild_sessions(until=NOW)
    assert (report.written, report.removed) == (0, 0)


def test_a_chain_longer_than_the_reach_is_cut_after_a_day_from_its_true_start():
    take(*(at(minutes) for minutes in range(0, 60 * 60, 20)))
    assert [count for count, _ in lengths()] == [72, 72, 36]
    # One more at the very front moves every cut.
    take(at(-20))
    assert [count for count, _ in lengths()] == [72, 72, 37]


def test_a_rebuild_without_news_writes_nothing():
    take(at(0), at(90))
    assert sessions.rebuild_sessions(until=NOW) == sessions.SessionReport(0, 0, 0, 0)


def test_a_reopened_hour_is_done_again_and_repairs_what_was_damaged():
    take(at(0), at(90))
    expected = stored()
    Session.objects.all().delete()
    assert windows.reopen(NOW - timedelta(days=30), NOW) == 2
    sessions.rebuild_sessions(until=NOW)
    assert stored() == expected


MINUTES = st.integers(-600, 2100).map(lambda number: number * 7)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(MINUTES, st.sampled_from("ab"), st.sampled_from(["", "x"])), min_size=1, max_size=60),
    st.integers(0, 4),
    st.randoms(use_true_random=False),
)
def test_pieces_in_any_order_with_erasures_equal_one_rebuild_of_the_whole(rows, erased, chance):
    empty()
    pairs = [(at(row[0] - 18_000, user=row[1], device=row[2] or None), row) for row in rows]
    chance.shuffle(pairs)
    events = [event for event, _ in pairs]
    for piece in (events[::3], events[1::3], events[2::3]):
        if piece:
            take(*piece)
    for event in events[:erased]:
        Event.objects.filter(event_id=event["event_id"]).delete()
    sessions.rebuild_sessions(until=NOW)
    pieces = stored()
    Session.objects.all().delete()
    WindowFill.objects.all().delete()
    sessions.rebuild_sessions(until=NOW)
    assert pieces == stored()
    kept = [(user, device, minutes) for _, (minutes, user, device) in pairs[erased:]]
    assert sum(row.events for row in Session.objects.all()) == len(kept)
    for user, device in {(user, device) for user, device, _ in kept}:
        times = sorted(60.0 * minutes for one, other, minutes in kept if (one, other) == (user, device))
        rows = Session.objects.filter(user_id=user, device=device)
        assert rows.count() == 1 + max(plain([("", when, number) for number, when in enumerate(times)]))
