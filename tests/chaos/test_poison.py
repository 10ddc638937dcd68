"""F15: what can never be done is tried a few times, set aside with its reason, and holds up nothing else."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.urls import reverse

from events import replays, sessions, telemetry, windows
from events.ingestion import ingest
from events.models import DeadLetter, Event, Session, WindowFill
from tests.events.conftest import NOW, make_event

pytestmark = [pytest.mark.chaos, pytest.mark.django_db]
TEN = datetime(2026, 11, 23, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def staff(client):
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def poisoned_log(db):
    """Three hours of the log; an event of the second one carries what no door would let in, and no rebuild can read."""
    events = [make_event(user_id=f"u{hour}", timestamp=(TEN - (4 - 2 * hour) * HOUR).isoformat()) for hour in range(3)]
    assert ingest(events, now=NOW, source="test").accepted == 3
    poisoned = Event.objects.filter(event_id=events[1]["event_id"])
    poisoned.update(additional_info={"watch_duration": "a while"})
    return poisoned


def rebuild(now):
    return sessions.rebuild_sessions(until=NOW, now=now)


def poisoned_hour():
    return WindowFill.objects.get(window_start=TEN - 2 * HOUR)


def test_an_hour_that_fails_is_tried_five_times_ever_later_and_holds_up_no_other(poisoned_log):
    now, waits = NOW, []
    assert rebuild(now).windows == 2
    assert set(Session.objects.values_list("user_id", flat=True)) == {"u0", "u2"}
    while (hour := poisoned_hour()).state != "aside":
        waits.append(hour.retry_at - now)
        assert rebuild(hour.retry_at - timedelta(seconds=1)).windows == 0
        assert poisoned_hour().attempts == hour.attempts, "it was tried before its time"
        now = hour.retry_at
        assert rebuild(now).windows == 0
    assert waits == [1 * MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE]
    assert hour.attempts == windows.MAX_ATTEMPTS == 5
    assert "a while" in hour.error
    rebuild(now + timedelta(days=30))
    assert poisoned_hour().attempts == 5, "an hour that is set aside waits for somebody"
    assert windows.set_aside() == {"session": 1}


def test_new_events_of_other_hours_keep_flowing_past_it(poisoned_log, server):
    rebuild(NOW)
    late = make_event(user_id="late", timestamp=(TEN + HOUR / 2).isoformat())
    server.post("/api/v1/events", {"events": [late]}, format="json")
    assert rebuild(NOW + timedelta(seconds=5)).windows == 1
    assert Session.objects.filter(user_id="late").exists()


def test_the_admin_shows_the_reason_and_trying_again_after_the_fix_works_once(poisoned_log, staff):
    for minutes in (0, 2, 5, 10, 20):
        rebuild(NOW + minutes * MINUTE)
    letters = staff.get(reverse("admin:events_deadletter_changelist")).content.decode()
    assert "1\n  hour of the log" in letters
    address = reverse("admin:events_windowfill_changelist")
    assert address in letters
    page = staff.get(f"{address}?state__exact=aside").content.decode()
    assert "ArrowInvalid" in page
    assert "a while" in page
    assert b'recsys_windows_aside{family="session"} 1.0' in staff.get("/metrics").content
    poisoned_log.update(additional_info={"watch_duration": 7})
    assert rebuild(NOW + HOUR).windows == 0
    staff.post(address, {"action": "try_again", "_selected_action": [poisoned_hour().pk]})
    assert rebuild(NOW + HOUR).windows == 1
    assert Session.objects.get(user_id="u1").events == 1
    hour = poisoned_hour()
    assert (hour.state, hour.attempts, hour.retry_at, hour.error) == ("done", 0, None, "")
    assert rebuild(NOW + 2 * HOUR).windows == 0
    assert windows.set_aside() == {"session": 0}


def test_reopening_an_hour_is_another_way_to_try_it_again(poisoned_log):
    for minutes in (0, 2, 5, 10, 20):
        rebuild(NOW + minutes * MINUTE)
    poisoned_log.update(additional_info={})
    windows.reopen(TEN - 2 * HOUR, TEN - HOUR)
    assert rebuild(NOW + HOUR).windows == 1


@pytest.fixture
def log_refuses(transactional_db):
    """A log that has a rule of its own, such as somebody's constraint."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE event ADD CONSTRAINT no_poison CHECK (content_id <> 'poison') NOT VALID")
    yield
    drop_rule()


def drop_rule():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE event DROP CONSTRAINT IF EXISTS no_poison")


@pytest.mark.parametrize("size", [3, 120], ids=["few", "many"])
def test_an_event_that_cannot_be_stored_becomes_a_dead_letter_and_costs_its_batch_nothing(server, log_refuses, size):
    events = [make_event() for _ in range(size)]
    events[size // 2]["content_id"] = events[-1]["content_id"] = "poison"
    answer = server.post("/api/v1/events", {"events": events}, format="json")
    assert answer.status_code == 202
    assert answer.json()["accepted"] == size - 2
    assert [(one["index"], one["code"]) for one in answer.json()["rejected"]] == [
        (size // 2, "unstorable"),
        (size - 1, "unstorable"),
    ]
    assert Event.objects.count() == size - 2
    kept = [json.loads(bytes(letter.payload)) for letter in DeadLetter.objects.order_by("pk")]
    assert kept == [events[size // 2], events[-1]]
    assert all("no_poison" in letter.detail for letter in DeadLetter.objects.all())
    again = server.post("/api/v1/events", {"events": events}, format="json").json()
    assert (again["accepted"], again["duplicates"], len(again["rejected"])) == (0, size - 2, 2)
    assert set(DeadLetter.objects.values_list("times", flat=True)) == {2}


def test_a_letter_is_replayed_once_when_the_rule_is_gone(server, log_refuses, staff):
    before = telemetry.EVENTS.labels("api", "rejected", "unstorable")._value.get()
    server.post("/api/v1/events", {"events": [make_event(content_id="poison")]}, format="json")
    assert telemetry.EVENTS.labels("api", "rejected", "unstorable")._value.get() == before + 1
    letter = DeadLetter.objects.get()
    assert "unstorable" in staff.get(reverse("admin:events_deadletter_changelist")).content.decode()
    assert replays.replay([letter.pk], now=NOW).failed.keys() == {letter.pk}
    drop_rule()
    assert replays.replay([letter.pk], now=NOW).stored == 1
    assert replays.replay([letter.pk], now=NOW).stored == 0
    assert Event.objects.count() == 1
