"""`manage.py backfill` over a log that was changed behind the back of its triggers."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from events.models import Event
from features import materialize as module
from features.materialize import materialize
from features.models import ContentFeatures, ContentWindow, PopulationWindow
from tests.features.clips import CLIPS, NOW, days_of_events, register, send

HOUR = timedelta(hours=1)


@pytest.fixture
def filled(db, snapshots, monkeypatch):
    """Clips and three days of events, materialised; the command finds the clock at NOW."""
    register(CLIPS)
    send(days_of_events())
    materialize(until=NOW)
    monkeypatch.setattr(timezone, "now", lambda: NOW)


def backfill(*words):
    out = StringIO()
    call_command("backfill", *words, stdout=out)
    return out.getvalue().splitlines()


def tables():
    return [
        sorted(
            model.objects.values_list(*(f.attname for f in model._meta.concrete_fields if f.attname != "id")), key=repr
        )
        for model in (ContentFeatures, ContentWindow, PopulationWindow)
    ]


def test_a_range_is_done_again_and_the_command_says_how_far_it_is(filled):
    before, start, end = tables(), NOW - 30 * HOUR, NOW - 20 * HOUR
    events = Event.objects.filter(timestamp__gte=start, timestamp__lt=end).count()
    first, *progress, last = backfill(start.isoformat(), end.isoformat())
    assert first.startswith(f"{events:,} events from {start.isoformat()}")
    counted = ContentWindow.objects.filter(window_start__gte=start - HOUR, window_start__lt=end)
    taken = sum(counted.values_list("events", flat=True))
    assert f"counters: {taken} of {taken}" in progress
    assert progress[-1] == "snapshot: 1 of 1"
    assert last.startswith(f"counted {taken:,} events in {counted.count()} hours")
    assert last.endswith(", as before")
    assert tables() == before


def test_what_no_trigger_saw_is_in_the_store_afterwards(filled):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE event_2026_11 SET event_type = 'share' WHERE event_type = 'like'")
        assert cursor.rowcount > 0
    assert materialize(until=NOW).windows == 0, "the numbers of the hours are as they were"
    backfill((NOW - timedelta(days=6)).isoformat(), NOW.isoformat())
    by_backfill = tables()
    module.start_anew()
    materialize(until=NOW)
    assert tables() == by_backfill


def test_a_date_is_midnight_in_utc(filled):
    first, *_ = backfill("2026-11-01", "2026-11-02")
    assert "from 2026-11-01T00:00:00+00:00 to 2026-11-02T00:00:00+00:00" in first


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("yesterday", "2026-11-02"), "FROM must be an ISO date or moment .* got 'yesterday'"),
        (("2026-11-01", "2026-13-01"), "TO must be an ISO date or moment .* got '2026-13-01'"),
        (("2026-11-02", "2026-11-01"), "TO must be after FROM, got 2026-11-02T00:00:00.00:00 and 2026-11-01"),
        (("2199-01-01", "2199-01-02"), "FROM must be in the past, got 2199-01-01"),
    ],
)
def test_a_range_that_is_none_is_named(filled, words, complaint):
    with pytest.raises(CommandError, match=complaint):
        backfill(*words)
