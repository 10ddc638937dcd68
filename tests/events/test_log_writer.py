"""How ids are taken: by COPY while none comes again, by the statement that looks out for known ones after that."""

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import connection, transaction

from events import catalogue, log_writer
from events.cleaning.rules import clean_event, read_event
from events.ingestion import ingest
from events.log_writer import Batch, Stored
from events.models import Event, EventId
from tests.events.conftest import NOW, make_event

pytestmark = pytest.mark.django_db


def batch_of(events):
    batch = Batch(NOW, "test")
    for event in events:
        batch.add(clean_event(read_event(event, now=NOW)[0], now=NOW))
    return batch


@pytest.fixture
def statements(monkeypatch):
    """The kinds of statement by which ids were taken, in their order, while they are still carried out."""
    seen = []

    class Seeing:
        def __init__(self, cursor):
            self._cursor = cursor

        def copy_expert(self, sql, file):
            seen.extend(["copy"] * ("event_dedup" in sql))
            self._cursor.copy_expert(sql, file)

        def __getattr__(self, name):
            return getattr(self._cursor, name)

    def take(cursor, keys, rows):
        seen.extend(["insert"] * log_writer._retries.expected())
        return real(Seeing(cursor), keys, rows)

    real = log_writer._take_ids
    monkeypatch.setattr(log_writer, "_take_ids", take)
    return seen


def test_new_ids_go_by_copy_and_those_that_come_again_are_met_once(statements):
    events = [make_event() for _ in range(30)]
    assert log_writer.write([batch_of(events[:10])]) == [Stored(10, 0, 0)]
    assert log_writer.write([batch_of(events[:20])]) == [Stored(10, 10, 0)]
    assert log_writer.write([batch_of(events)]) == [Stored(10, 20, 0)]
    assert statements == ["copy", "copy", "insert", "insert"]
    assert Event.objects.count() == EventId.objects.count() == 30


def test_after_a_while_known_ids_are_not_expected_any_more(statements, monkeypatch):
    event = make_event()
    monkeypatch.setattr(log_writer, "EXPECT_KNOWN_S", 0.05)
    log_writer.write([batch_of([event])])
    log_writer.write([batch_of([event])])
    while log_writer._retries.expected():
        pass
    log_writer.write([batch_of([make_event()])])
    assert statements == ["copy", "copy", "insert", "copy"]


def test_both_ways_keep_the_same_of_an_id():
    kept = []
    for known_expected in (False, True):
        if known_expected:
            log_writer._retries.met()
        log_writer.write([batch_of([make_event(event_id="3b241101-e2bb-4255-8caf-4136c566a962")])])
        kept += EventId.objects.values_list("event_id", "timestamp", "arrived", "digest")
        EventId.objects.all().delete()
    assert [bytes(row[3]) for row in kept] == [bytes(kept[0][3])] * 2
    assert kept[0][:3] == kept[1][:3]
    assert kept[0][1] == datetime(2026, 11, 23, 11, 59, tzinfo=UTC)


def test_a_failed_try_leaves_no_trace_in_the_caller_s_transaction():
    event = make_event()
    ingest([event], now=NOW, source="test")
    report = ingest([event, make_event("view", user_id="u9")], now=NOW, source="test")
    assert (report.accepted, report.duplicates) == (1, 1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), count(DISTINCT user_id) FROM event")
        assert cursor.fetchone() == (2, 2)


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 23, 10, 20, 30, 123456, UTC),
        datetime(2026, 11, 23, 10, 20, 30, 1, timezone(timedelta(hours=5, minutes=30))),
        datetime(2005, 1, 1, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 59, 59, 999999, timezone(-timedelta(hours=12))),
    ],
)
def test_a_moment_is_stored_to_the_microsecond(moment):
    event = make_event(timestamp=moment)
    ingest([event], now=NOW, source="test", historical=True)
    assert Event.objects.get().timestamp == EventId.objects.get().timestamp == moment


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_is_the_victim_of_a_deadlock_is_stored_all_the_same():
    held, ended = threading.Event(), []

    def hold_in_the_wrong_order():
        try:
            with transaction.atomic():
                catalogue.ensure_profiles({"u2"})
                held.set()
                with connection.cursor() as cursor:
                    # Patient, so that the batch is the one to notice.
                    cursor.execute("SET LOCAL deadlock_timeout = '1min'")
                    cursor.execute("SELECT pg_sleep(0.3)")
                catalogue.ensure_profiles({"u1"})
            ended.append("stored")
        finally:
            connection.close()

    other = threading.Thread(target=hold_in_the_wrong_order)
    other.start()
    assert held.wait(10)
    report = ingest([make_event(user_id="u1"), make_event(user_id="u2")], now=NOW, source="test")
    other.join(30)
    assert (report.accepted, ended) == (2, ["stored"])
    assert Event.objects.count() == 2
