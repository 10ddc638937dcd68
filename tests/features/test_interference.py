"""What one part of the store must not do to another: lose its counts, hold it up, or write beside it."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from django.conf import settings
from django.db import connection

from events import partitions, windows
from events.ingestion import ingest
from events.models import DeadLetter, Event, WindowFill
from events.queries import interactions_between, recent_history
from features import log_windows, store, window_rows
from features.erasure import erase_content
from features.materialize import backfill, materialize
from features.models import ContentFeatures, ContentWindow, PopulationWindow
from tests.features.clips import CLIPS, NOW, days_of_events, raw, register, send

ROOT = Path(__file__).resolve().parents[2]
MONTHS_AGO = datetime(2026, 9, 10, tzinfo=UTC)


def rows():
    """All counts and states, without the generated keys."""
    return [
        sorted(
            model.objects.values_list(*(each.attname for each in model._meta.concrete_fields if each.attname != "id")),
            key=repr,
        )
        for model in (ContentFeatures, ContentWindow, PopulationWindow)
    ]


@pytest.mark.django_db(transaction=True)
def test_a_backfill_leaves_the_counts_of_a_month_that_the_log_has_dropped(snapshots):
    register(CLIPS)
    old = [raw("view", f"u{n % 9}", CLIPS[n % 24], MONTHS_AGO + timedelta(hours=2 * n), watch_duration=5.0)
           for n in range(50)]  # fmt: skip
    assert ingest(old, now=MONTHS_AGO + timedelta(days=6), source="test").accepted == 50
    send(days_of_events())
    materialize(until=NOW)
    before = rows()
    assert partitions.drop_expired(now=NOW, keep=1)
    backfill(MONTHS_AGO - timedelta(days=9), NOW, until=NOW)
    assert rows() == before
    send([raw("view", "u1", CLIPS[0], NOW + timedelta(minutes=1), watch_duration=3.0)], now=NOW + timedelta(minutes=5))
    assert materialize(until=NOW + timedelta(minutes=2)).windows == 1


def a_month_that_was_counted_and_dropped():
    """Counts of a month, and an event that comes for one of its hours after the log has dropped it."""
    register(CLIPS)
    old = [raw("view", f"u{n % 9}", CLIPS[n % 24], MONTHS_AGO + timedelta(hours=2 * n), watch_duration=5.0)
           for n in range(50)]  # fmt: skip
    send(old)
    send(days_of_events())
    materialize(until=NOW)
    return raw("view", "straggler", CLIPS[0], MONTHS_AGO + timedelta(minutes=5), watch_duration=5.0)


@pytest.mark.django_db(transaction=True)
def test_a_late_event_of_a_dropped_month_is_refused_and_leaves_its_counts_alone(snapshots):
    late = a_month_that_was_counted_and_dropped()
    before = rows()
    assert partitions.drop_expired(now=NOW, keep=1)
    report = ingest([late], now=NOW, source="test")
    assert (report.accepted, [one.code for one in report.rejected]) == (0, ["month_dropped"])
    assert DeadLetter.objects.get().code == "month_dropped"
    materialize(until=NOW)
    assert rows() == before
    backfill(MONTHS_AGO - timedelta(days=9), NOW, until=NOW)
    assert rows() == before


@pytest.mark.django_db(transaction=True)
def test_an_hour_that_was_due_when_its_month_was_dropped_is_not_counted_from_nothing(snapshots):
    late = a_month_that_was_counted_and_dropped()
    before = rows()
    send([late])
    listed = windows.open_windows(log_windows.FAMILY, until=NOW)
    assert len(listed) == 1
    assert partitions.drop_expired(now=NOW, keep=1)
    asked = []
    assert windows.work_off(log_windows.FAMILY, listed, asked.append, now=NOW) == []
    assert asked == []
    materialize(until=NOW)
    assert rows() == before


@pytest.mark.django_db(transaction=True)
def test_a_dropped_month_that_somebody_attaches_again_changes_no_counts(snapshots):
    late = a_month_that_was_counted_and_dropped()
    before = rows()
    assert partitions.drop_expired(now=NOW, keep=1)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE event_2026_09 PARTITION OF event FOR VALUES FROM ('2026-09-01') TO ('2026-10-01')")
        cursor.execute(
            "INSERT INTO event (event_id, event_type, user_id, content_id, additional_info, timestamp, received_at) "
            "VALUES (%s, 'like', 'u1', %s, '{}', %s, %s)",
            [late["event_id"], late["content_id"], late["timestamp"], NOW],
        )
    try:
        assert materialize(until=NOW).windows == 0
        assert rows() == before
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE event_2026_09")
        partitions.forget()


@pytest.mark.django_db
def test_an_hour_that_fails_after_it_was_counted_holds_up_no_snapshot(snapshots):
    register(CLIPS)
    send(days_of_events())
    materialize(until=NOW)
    send([raw("view", "somebody", CLIPS[1], NOW - timedelta(minutes=1), watch_duration=3.0)])
    Event.objects.filter(user_id="somebody").update(additional_info={"watch_duration": "a while"})
    now = NOW
    for _ in range(12):
        now += timedelta(minutes=20)
        send([raw("view", "u1", CLIPS[2], now - timedelta(minutes=1), watch_duration=3.0)], now=now)
        materialize(until=now)
    assert WindowFill.objects.filter(family=log_windows.FAMILY, attempts__gt=0).count() == 1
    store.forget()
    assert store.snapshot().until >= (now - timedelta(hours=1)).timestamp()


@pytest.mark.django_db(transaction=True)
def test_nothing_else_writes_while_a_content_is_erased(snapshots, monkeypatch):
    register(CLIPS)
    send(days_of_events())
    materialize(until=NOW)
    kept, real = [], window_rows.about
    database = connection.settings_dict

    def about(content_id):
        with psycopg2.connect(
            dbname=database["NAME"], user=database["USER"], password=database["PASSWORD"], host=database["HOST"],
            port=database["PORT"],
        ) as other, other.cursor() as cursor:  # fmt: skip
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [0x7EC5_0002])
            kept.append(not cursor.fetchone()[0])
        other.close()
        return real(content_id)

    monkeypatch.setattr(window_rows, "about", about)
    erase_content(CLIPS[5])
    assert kept == [True]


def test_every_advisory_lock_has_a_key_of_its_own():
    apps = [ROOT / app for app in ("events", "features", "ranking", "dashboards", "recsys")]
    assert settings.BASE_DIR == ROOT
    keys = [
        key for app in apps for path in app.rglob("*.py")
        for key in re.findall(r"(?:LOCK|KEY)\w*: Final = (0x[0-9A-F_]+)", path.read_text())
    ]  # fmt: skip
    assert len(keys) >= 8
    assert len(keys) == len(set(keys))


@pytest.mark.django_db
def test_serving_and_training_agree_on_which_events_of_one_moment_are_the_last_thousand():
    at = NOW - timedelta(days=2)
    sent = [raw("view", "u", CLIPS[n % 24], at, watch_duration=float(n % 12)) for n in range(30)]
    sent += [raw("impression", "u", CLIPS[n % 24], at + timedelta(seconds=n + 1)) for n in range(990)]
    register(CLIPS)
    for first in range(0, len(sent), 500):
        send(sent[first : first + 500])
    log, served = interactions_between(None, NOW), recent_history("u")
    assert len(served) == 1_000
    assert served.content_id.tolist() == [log.contents[code] for code in log.content[-1_000:]]
    assert served.watch_s.tolist() == pytest.approx(log.watch_s[-1_000:].tolist(), nan_ok=True)
