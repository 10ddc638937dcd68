"""Marks of automated traffic: made, taken back, and the same whatever way the log came."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from events import queries, sessions, traffic, windows
from events.cleaning.behaviour import BLIND_RUN, BURST_EVENTS
from events.ingestion import ingest
from events.models import AutomatedHour, Event, WindowFill
from events.traffic import TrafficReport, mark_automated
from tests.events.conftest import NOW, make_event

pytestmark = pytest.mark.django_db
HOUR = datetime(2026, 11, 20, 10, tzinfo=UTC)


def blind(user="crawler", start=HOUR, count=BLIND_RUN):
    return [
        make_event("view", user_id=user, watch_duration=0, timestamp=(start + timedelta(seconds=number)).isoformat())
        for number in range(count)
    ]


def burst(user="flooder", start=HOUR):
    return [
        make_event(user_id=user, timestamp=(start + timedelta(milliseconds=20 * number)).isoformat())
        for number in range(BURST_EVENTS + 1)
    ]


def people(count=30):
    return [
        make_event("view", user_id=f"u{number}", timestamp=(HOUR + timedelta(seconds=number)).isoformat())
        for number in range(count)
    ]


def take(*events):
    assert ingest(events, now=NOW, source="test").rejected == ()


def marks():
    return sorted(AutomatedHour.objects.values_list("user_id", "window_start"))


def test_programs_are_marked_in_the_hours_in_which_they_behave_like_one():
    later = HOUR + timedelta(hours=5)
    take(*blind(), *burst(start=later), *people(), make_event(user_id="flooder", timestamp=HOUR.isoformat()))
    assert mark_automated(until=NOW) == TrafficReport(windows=2, changed=2)
    assert marks() == [("crawler", HOUR), ("flooder", later)]
    assert mark_automated(until=NOW) == TrafficReport(0, 0)


def test_shuffled_late_and_doubled_events_give_the_same_marks():
    events = [*blind(), *burst(), *people(), *blind("second", HOUR + timedelta(hours=1), BLIND_RUN - 1)]
    random.Random(5).shuffle(events)
    third = len(events) // 3
    for start in range(0, len(events), third):
        take(*events[start : start + third], *events[:20])
        mark_automated(until=NOW)
    assert marks() == [("crawler", HOUR), ("flooder", HOUR)]


def test_a_mark_goes_with_the_events_it_was_made_of():
    take(*blind(), *people())
    mark_automated(until=NOW)
    Event.objects.filter(user_id="crawler").delete()
    assert mark_automated(until=NOW).changed == 1
    assert marks() == []


def test_a_new_rule_changes_the_marks_once_the_hours_are_asked_for(monkeypatch):
    take(*blind(count=20))
    mark_automated(until=NOW)
    monkeypatch.setattr("events.cleaning.behaviour.BLIND_RUN", 20)
    assert windows.reopen(HOUR, HOUR + timedelta(hours=1), family=traffic.FAMILY) == 1
    mark_automated(until=NOW)
    assert marks() == [("crawler", HOUR)]


def test_a_change_opens_the_hour_for_whoever_has_counted_it_already():
    take(*blind())
    sessions.rebuild_sessions(until=NOW)
    mark_automated(until=NOW)
    assert [window.start for window in windows.open_windows(sessions.FAMILY, until=NOW)] == [HOUR]
    assert windows.open_windows(traffic.FAMILY, until=NOW) == []
    assert set(WindowFill.objects.filter(family=traffic.FAMILY).values_list("state", flat=True)) == {"done"}


def test_readers_leave_out_bots_and_staff_when_they_ask_for_people(settings):
    take(*blind(), *people(3), make_event(user_id="crawler", timestamp=(HOUR + timedelta(hours=2)).isoformat()))
    mark_automated(until=NOW)
    settings.INTERNAL_USERS = frozenset({"u2"})
    log = queries.interactions_between(None, NOW, people_only=True)
    assert sorted(log.users[log.user]) == ["crawler", "u0", "u1"]
    assert len(queries.interactions_between(None, NOW)) == BLIND_RUN + 4
    likes = queries.interactions_between(None, NOW, people_only=True, types={"like"})
    assert likes.users[likes.user].tolist() == ["crawler"]
