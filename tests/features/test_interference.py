"""What one part of the store must not do to another: lose its counts, hold it up, or write beside it."""

import re
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from django.conf import settings
from django.db import connection

from events import partitions, windows
from events.ingestion import ingest
from events.models import Content, DeadLetter, Event, WindowFill
from events.queries import interactions_between, recent_history
from features import content, learned_sequences, log_windows, store, trends, window_rows
from features.erasure import erase_content, erase_user
from features.materialize import backfill, materialize, refresh_snapshot
from features.models import (
    ContentAnalysis,
    ContentFeatures,
    ContentWindow,
    Embedding,
    PopulationWindow,
    Trend,
    TrendKind,
    TrendPoint,
)  # fmt: skip
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


class Held:
    """Another connection that keeps an advisory lock until the block ends."""

    def __init__(self, key):
        self._key = key

    def __enter__(self):
        database = connection.settings_dict
        self._connection = psycopg2.connect(
            dbname=database["NAME"], user=database["USER"], password=database["PASSWORD"], host=database["HOST"],
            port=database["PORT"],
        )  # fmt: skip
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [self._key])

    def __exit__(self, *_):
        self._connection.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("key", "forget"),
    [
        (0x7EC5_0003, lambda: trends.forget_thing("content", CLIPS[5])),
        (0x7EC5_0002, lambda: erase_user("u3", first=None, last=None)),
        (0x7EC5_0002, lambda: erase_user("u3", first=NOW - timedelta(days=1), last=NOW)),
    ],
)
def test_what_is_forgotten_waits_for_who_would_write_it_again(snapshots, key, forget):
    learned_sequences.path().parent.mkdir(parents=True)
    learned_sequences.path().write_bytes(b"")
    done = threading.Event()

    def run():
        try:
            forget()
            done.set()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    with Held(key):
        thread.start()
        assert not done.wait(0.5)
        assert learned_sequences.path().exists()
    thread.join()
    assert done.is_set()


@pytest.mark.django_db(transaction=True)
def test_contents_erased_while_everything_else_works_are_gone_at_the_end(snapshots, monkeypatch):
    monkeypatch.setattr(store, "RECHECK_S", 0.0)
    register(CLIPS)
    send(days_of_events())
    materialize(until=NOW)
    erased, errors, over = CLIPS[::4], [], threading.Event()

    def again(work):
        try:
            while not over.is_set():
                work()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    def erase():
        for content_id in erased:
            Event.objects.filter(content_id=content_id).delete()
            Content.objects.filter(content_id=content_id).delete()
            erase_content(content_id)
            snapshot = store.snapshot()
            assert content_id not in snapshot.row_of or not snapshot.active[snapshot.row_of[content_id]]
        over.set()

    busy = [
        lambda: materialize(until=NOW), lambda: refresh_snapshot(until=NOW), lambda: trends.refresh(until=NOW),
        lambda: content.register(now=NOW), lambda: content.analyse(now=NOW, budget_s=0.2), erase,
    ]  # fmt: skip
    threads = [threading.Thread(target=again, args=(work,)) for work in busy]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    content.analyse(now=NOW)
    materialize(until=NOW)
    trends.refresh(until=NOW)
    store.forget()
    snapshot = store.snapshot()
    assert not set(erased) & set(snapshot.row_of)
    assert len(snapshot) == len(CLIPS) - len(erased)
    for model in (ContentFeatures, ContentAnalysis, Embedding):
        assert not model.objects.filter(content_id__in=erased).exists(), model
    for model in (Trend, TrendPoint):
        assert not model.objects.filter(kind=TrendKind.CONTENT, name__in=erased).exists(), model
    assert not ContentWindow.objects.filter(contents__overlap=erased).exists()


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
