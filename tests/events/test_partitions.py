"""Partitions of the log: made on demand and ahead, by several at once, dropped by the retention setting."""

import threading
import uuid
from datetime import UTC, date, datetime, timedelta
from importlib import import_module

import pytest
from django.db import OperationalError, connection, transaction

from events import partitions, queries, sessions
from events.ingestion import ingest
from events.models import DeadLetter, DroppedMonth, Event, EventId, Refusal, Session
from tests.events.conftest import NOW, make_event

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_partitions():
    """Partitions outlive a test's rows; these tests begin and end without any."""
    drop_all()
    yield
    drop_all()


def drop_all():
    with connection.cursor() as cursor:
        for part in partitions.existing():
            cursor.execute(f'DROP TABLE "{part.table}"')
    partitions.forget()


def months() -> list[date]:
    return [part.month for part in partitions.existing()]


def test_a_month_is_made_once_and_known_ones_ask_nothing(django_assert_num_queries):
    wanted = [date(2022, 4, 1), date(1997, 9, 1)]
    assert partitions.ensure(wanted) == sorted(wanted) == months()
    with django_assert_num_queries(0):
        assert partitions.ensure(wanted) == []
    partitions.forget()
    assert partitions.ensure(wanted) == []


def test_a_partition_has_the_indexes_of_the_log():
    partitions.ensure([date(2026, 11, 1)])
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_index WHERE indrelid = 'event_2026_11'::regclass")
        assert cursor.fetchone() == (4,)
        cursor.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = 'event_user_recent'::regclass")
        assert cursor.fetchone() == (1,)


def test_many_makers_of_the_same_months_do_not_get_in_each_others_way():
    wanted = [date(2026, month, 1) for month in range(1, 7)]
    gate, failures = threading.Barrier(6), []

    def make() -> None:
        try:
            gate.wait(timeout=30)
            for month in wanted:
                partitions._make(month)
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    assert months() == wanted


def test_a_partition_made_in_a_transaction_that_fails_stays():
    with transaction.atomic():
        ingest([make_event()], now=NOW, source="test")
        transaction.set_rollback(True)
    assert not Event.objects.exists()
    assert months() == [date(2026, 11, 1)]
    assert ingest([make_event()], now=NOW, source="test").accepted == 1


def test_partitions_are_made_ahead():
    made = partitions.create_ahead(now=datetime(2026, 11, 30, 23, tzinfo=UTC), months=3)
    assert made == [date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1), date(2027, 2, 1)] == months()
    assert partitions.create_ahead(now=NOW, months=3) == []


def test_retention_drops_whole_months_and_only_those():
    events = [make_event(timestamp=f"2026-{month:02}-20T00:00:00Z") for month in range(5, 12)]
    assert ingest(events, now=NOW, source="test").accepted == 7
    assert partitions.drop_expired(now=NOW, keep=0) == []
    assert partitions.drop_expired(now=NOW, keep=3) == [date(2026, month, 1) for month in (5, 6, 7)]
    assert months() == [date(2026, month, 1) for month in (8, 9, 10, 11)]
    assert Event.objects.count() == 4
    with pytest.raises(ValueError, match="-1"):
        partitions.drop_expired(now=NOW, keep=-1)


def test_what_was_refused_in_a_dropped_month_is_still_refused_and_can_be_erased():
    old = [make_event(name, content_id=name, timestamp="2026-05-20T00:00:00Z") for name in ("hide", "report", "like")]
    ingest([*old, make_event("hide", content_id="new")], now=NOW, source="test")
    assert partitions.drop_expired(now=NOW, keep=1) == [date(2026, 5, 1)]
    assert sorted(queries.recent_history("u1", limit=1).content_id) == ["hide", "new", "report"]
    Event.objects.filter(user_id="u1").delete()
    assert sorted(queries.recent_history("u1").content_id) == ["hide", "report"]
    Refusal.objects.filter(user_id="u1").delete()
    assert len(queries.recent_history("u1")) == 0


def test_a_month_that_cannot_be_dropped_yet_has_no_refusal_twice():
    ingest([make_event("hide", timestamp="2026-05-20T00:00:00Z")], now=NOW, source="test")
    reader = connection.copy()
    try:
        reader.set_autocommit(False)
        with reader.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM event")
            assert partitions.drop_expired(now=NOW, keep=1) == []
        assert not Refusal.objects.exists()
        reader.rollback()
        partitions.drop_expired(now=NOW, keep=1)
    finally:
        reader.close()
    assert Refusal.objects.count() == 1
    assert queries.recent_history("u1").content_id.tolist() == ["c1"]


def test_sessions_of_a_dropped_month_stay_as_they_are():
    ingest([make_event(timestamp="2026-05-20T00:00:00Z"), make_event()], now=NOW, source="test")
    sessions.rebuild_sessions(until=NOW)
    partitions.drop_expired(now=NOW, keep=1)
    assert sessions.rebuild_sessions(until=NOW).windows == 0
    assert Session.objects.count() == 2


def test_retention_waits_for_nobody_and_is_done_next_time():
    ingest([make_event(timestamp="2026-05-20T00:00:00Z")], now=NOW, source="test")
    reader = connection.copy()
    try:
        reader.set_autocommit(False)
        with reader.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM event")
            assert partitions.drop_expired(now=NOW, keep=1) == []
        reader.rollback()
        assert partitions.drop_expired(now=NOW, keep=1) == [date(2026, 5, 1)]
    finally:
        reader.close()


def test_an_event_of_a_month_that_another_process_dropped_is_stored():
    assert ingest([make_event()], now=NOW, source="test").accepted == 1
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE event_2026_11")
    assert ingest([make_event()], now=NOW, source="test").accepted == 1
    assert Event.objects.count() == 1


def test_a_lock_that_is_not_given_is_an_error_that_may_be_retried(monkeypatch):
    monkeypatch.setattr(partitions, "MAKE_TIMEOUT", "100ms")
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [partitions.LOCK])
        with pytest.raises(OperationalError):
            ingest([make_event()], now=NOW, source="test")
    finally:
        other.close()
    assert not EventId.objects.exists()
    assert ingest([make_event()], now=NOW, source="test").accepted == 1


def test_ids_are_forgotten_by_arrival_and_not_before(monkeypatch):
    monkeypatch.setattr(partitions, "PRUNED_ROWS", 3)
    old = [make_event(timestamp="1997-09-20T00:00:00Z") for _ in range(7)]
    ingest(old, now=NOW, source="test", historical=True)
    again = NOW + timedelta(days=20)
    late = [make_event() for _ in range(2)]
    ingest(late, now=again, source="test")
    assert partitions.prune_ids(now=NOW + timedelta(days=35)) == 0
    assert ingest(old, now=again, source="test", historical=True).duplicates == 7
    assert partitions.prune_ids(now=NOW + timedelta(days=36)) == 7
    assert set(EventId.objects.values_list("event_id", flat=True)) == {uuid.UUID(one["event_id"]) for one in late}
    with pytest.raises(ValueError, match="at least 7"):
        partitions.prune_ids(now=NOW, keep_days=6)


def drop_may():
    ingest([make_event(timestamp="2026-05-20T00:00:00Z")], now=NOW, source="test")
    assert partitions.drop_expired(now=NOW, keep=1) == [date(2026, 5, 1)]


def test_a_dropped_month_is_known_with_the_moment_and_never_made_again():
    drop_may()
    assert list(DroppedMonth.objects.values_list()) == [(date(2026, 5, 1), NOW)]
    with pytest.raises(partitions.MonthDropped, match="2026-05"):
        partitions.ensure([date(2026, 5, 1), date(2026, 6, 1)])
    assert date(2026, 5, 1) not in months()


@pytest.mark.parametrize("size", [1, 60])
def test_an_event_of_a_dropped_month_is_a_dead_letter_and_its_neighbours_are_stored(size):
    drop_may()
    late = make_event(timestamp="2026-05-31T23:59:59.999Z")
    neighbours = [make_event(timestamp="2026-06-01T00:00:00Z"), *(make_event() for _ in range(size))]
    report = ingest([neighbours[0], late, *neighbours[1:]], now=NOW, source="test")
    assert (report.accepted, [(one.index, one.code) for one in report.rejected]) == (size + 1, [(1, "month_dropped")])
    assert report.rejected[0].detail.endswith("got 2026-05-31T23:59:59.999000+00:00")
    assert [letter.code for letter in DeadLetter.objects.all()] == ["month_dropped"]
    assert Event.objects.count() == size + 1


def test_a_process_that_has_not_heard_of_the_dropping_refuses_all_the_same():
    known = partitions._known
    ingest([make_event(timestamp="2026-05-20T00:00:00Z")], now=NOW, source="test")
    partitions.drop_expired(now=NOW, keep=1)
    known.add(date(2026, 5, 1))
    report = ingest([make_event(timestamp="2026-05-20T00:00:00Z"), make_event()], now=NOW, source="test")
    assert (report.accepted, [one.code for one in report.rejected]) == (1, ["month_dropped"])


def test_within_a_transaction_of_its_caller_and_as_old_log_it_is_refused_as_well():
    drop_may()
    with transaction.atomic():
        report = ingest([make_event(timestamp="2026-05-20T00:00:00Z")], now=NOW, source="test", historical=True)
        assert [one.code for one in report.rejected] == ["month_dropped"]
        assert ingest([make_event()], now=NOW, source="test").accepted == 1


def test_months_dropped_one_after_the_other_are_all_refused():
    ingest([make_event(timestamp=f"2026-{month:02}-20T00:00:00Z") for month in (5, 6, 7)], now=NOW, source="test")
    assert len(partitions.drop_expired(now=NOW, keep=1)) == 3
    late = [make_event(timestamp=f"2026-{month:02}-21T00:00:00Z") for month in (7, 5, 6, 11)]
    report = ingest(late, now=NOW, source="test")
    assert (report.accepted, [one.index for one in report.rejected]) == (1, [0, 1, 2])


def test_months_dropped_before_anybody_noted_it_are_those_of_sessions_without_a_partition():
    ingest([make_event(timestamp="2026-05-20T00:00:00Z"), make_event()], now=NOW, source="test")
    sessions.rebuild_sessions(until=NOW)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE event_2026_05")
        cursor.execute(import_module("events.migrations.0012_dropped_months_and_stated_facts").DROPPED)
    assert list(DroppedMonth.objects.values_list("month", flat=True)) == [date(2026, 5, 1)]
