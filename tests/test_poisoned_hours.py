"""Every family of derived rows: an hour that it cannot read is tried again, set aside, shown, and holds up no other."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from dashboards import rollups
from dashboards.models import KpiDay
from events import queries, sessions, traffic, windows
from events.models import AutomatedHour, Event, Session, WindowFill
from features import log_windows, preferences, trend_counts
from features.materialize import materialize
from features.models import ContentWindow, TrendHour
from tests.features.clips import CLIPS, raw, register, send

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 18, 25, tzinfo=UTC)
HOUR = timedelta(hours=1)
# Days apart, as some families work on whole days.
HOURS = [datetime(2026, 11, day, 9, tzinfo=UTC) for day in (16, 17, 18, 19)]
POISONED = HOURS[1]
USERS = {hour: f"user-{number}" for number, hour in enumerate(HOURS)}


def hours_with_a_program():
    return set(AutomatedHour.objects.values_list("window_start", flat=True))


def hours_with_sessions():
    return {hour for hour in HOURS if Session.objects.filter(user_id=USERS[hour]).exists()}


def hours_with_trends():
    return {datetime.fromtimestamp(hour * 3600, UTC) for hour in TrendHour.objects.values_list("hour", flat=True)}


def hours_of_days():
    return {hour for hour in HOURS if KpiDay.objects.filter(day=hour.date()).exists()}


def hours_of_counts():
    return set(ContentWindow.objects.values_list("window_start", flat=True))


def hours_with_profiles():
    profiles = queries.profiles(list(USERS.values()))
    return {hour for hour in HOURS if "learned" in profiles.get(USERS[hour], {"preferences": {}})["preferences"]}


FAMILIES = {
    "traffic": (traffic.FAMILY, lambda now: traffic.mark_automated(until=now), hours_with_a_program),
    "sessions": (sessions.FAMILY, lambda now: sessions.rebuild_sessions(until=now), hours_with_sessions),
    "trends": (trend_counts.FAMILY, trend_counts.count_hours, hours_with_trends),
    "kpis": ("kpi UTC", lambda now: rollups.measure_kpis(until=now), hours_of_days),
    "features": (log_windows.FAMILY, lambda now: materialize(until=now), hours_of_counts),
    "preferences": (preferences.FAMILY, lambda now: preferences.apply_feedback(until=now), hours_with_profiles),
}


@pytest.fixture(params=FAMILIES)
def family(request, snapshots, settings):
    """A family, and a log with events that no door would let in and nobody can read, between hours that are fine."""
    settings.REPORTING_TIME_ZONE = "UTC"
    register(CLIPS)
    for hour, user in USERS.items():
        send([raw("like", user, CLIPS[0], hour + HOUR / 2)], now=NOW)
        send([raw("view", user, CLIPS[0], hour + HOUR / 2, watch_duration=3)], now=NOW)
        blind = [hour + timedelta(seconds=10 * number) for number in range(60)]
        send([raw("view", f"program-{user}", CLIPS[1], at, watch_duration=0) for at in blind], now=NOW)
    Event.objects.filter(user_id=USERS[POISONED]).update(additional_info={"watch_duration": "a while"})
    assert Event.objects.filter(additional_info__watch_duration="a while").count() == 2
    return FAMILIES[request.param]


@pytest.fixture
def snapshots(settings, tmp_path):
    settings.SNAPSHOT_DIR = tmp_path / "snapshots"
    return settings.SNAPSHOT_DIR


def test_a_poisoned_hour_stops_no_family(family, client):
    name, run, done = family
    run(NOW)
    assert done() == {*HOURS} - {POISONED}
    row = WindowFill.objects.get(family=name, window_start=POISONED)
    assert (row.state, row.attempts) == ("started", 1)
    now = NOW
    while row.state != "aside":
        now = row.retry_at
        run(now)
        row.refresh_from_db()
    assert row.attempts == windows.MAX_ATTEMPTS
    assert windows.set_aside()[name] == 1
    # New events flow past it, in an old hour and in the one that runs.
    late = HOURS[2] + 3 * HOUR
    send([raw("like", "late", CLIPS[0], late + HOUR / 4)], now=NOW)
    run(now + HOUR)
    assert WindowFill.objects.get(family=name, window_start=late).state == "done"
    client.force_login(User.objects.create_superuser("root"))
    page = client.get(reverse("admin:events_windowfill_changelist"), {"state__exact": "aside"}).content.decode()
    assert name in page
    assert "a while" in page
    # The events are repaired, and somebody says so.
    Event.objects.filter(user_id=USERS[POISONED]).update(additional_info={})
    assert windows.try_again([row.pk]) == 1
    run(now + 2 * HOUR)
    assert {*HOURS} <= done()
    row.refresh_from_db()
    assert (row.state, row.attempts, row.error) == ("done", 0, "")
