"""Hours are counted by triggers: exact whoever writes, and seen at once."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from events import hour_counts, partitions
from events.ingestion import ingest
from events.models import Event, HourChange
from events.windows import Window, fill, open_windows
from tests.events.conftest import NOW, make_event

HOUR = timedelta(hours=1)
TEN = datetime(2026, 11, 23, 10, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def send(*moments):
    events = [make_event(timestamp=moment.isoformat()) for moment in moments]
    assert ingest(events, now=LATER, source="test", historical=True).rejected == ()


def do(until=NOW):
    with fill("tests", open_windows("tests", until=until), now=NOW) as mine:
        return mine


def listed(until=LATER):
    return [(window.start, window.events) for window in open_windows("tests", until=until)]


def counted():
    """What the listing of a family that knows nothing must say."""
    hours = {}
    for moment in Event.objects.values_list("timestamp", flat=True):
        start = moment.replace(minute=0, second=0, microsecond=0)
        hours[start] = hours.get(start, 0) + 1
    return sorted(hours.items())


@pytest.mark.django_db
def test_hours_are_counted_to_their_edges_over_months_and_years():
    new_year = datetime(2026, 1, 1, tzinfo=UTC)
    tick = timedelta(microseconds=1)
    moments = [
        new_year - timedelta(days=9_000), new_year - tick, new_year, new_year + HOUR - tick, new_year + HOUR,
        NOW - timedelta(minutes=61), NOW - tick, NOW,
    ]  # fmt: skip
    send(*moments)
    for until in (new_year - tick, new_year + timedelta(minutes=30), NOW, LATER):
        starts = [moment.replace(minute=0, second=0, microsecond=0) for moment in moments if moment < until]
        assert listed(until) == sorted((start, starts.count(start)) for start in {*starts})


@pytest.mark.django_db
def test_an_erased_event_made_up_for_by_another_opens_the_hour():
    send(TEN, TEN + HOUR)
    do()
    Event.objects.filter(timestamp=TEN).delete()
    send(TEN + HOUR / 2)
    assert open_windows("tests", until=NOW) == [Window(TEN, 1)]
    do()
    assert open_windows("tests", until=NOW) == []


@pytest.mark.django_db
def test_a_changed_event_opens_its_hour_and_a_moved_one_both():
    send(TEN, TEN + 2 * HOUR, TEN - 40 * 24 * HOUR)
    do(LATER)
    Event.objects.filter(timestamp=TEN).update(content_id="c2")
    assert listed() == [(TEN, 1)]
    do()
    # To another partition.
    Event.objects.filter(timestamp=TEN).update(timestamp=TEN - 40 * 24 * HOUR + HOUR / 2)
    assert listed() == [(TEN - 40 * 24 * HOUR, 2), (TEN, 0)]


@pytest.mark.django_db
def test_an_emptied_log_leaves_its_hours_open_once():
    send(TEN, TEN + HOUR / 2, TEN + HOUR)
    do()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE event")
    assert listed() == [(TEN, 0), (TEN + HOUR, 0)]
    do()
    send(TEN, TEN + HOUR / 2)
    assert listed() == [(TEN, 2)]


@pytest.mark.django_db
def test_the_listing_takes_one_statement_that_reads_no_hour_but_the_running_one():
    send(*(TEN - number * HOUR for number in range(30)))
    with connection.cursor() as cursor:
        cursor.execute(
            "EXPLAIN (ANALYZE, FORMAT JSON) " + hour_counts._DIFFERING,
            {"family": "tests", "until": TEN, "now": TEN, "months": [part.month for part in partitions.existing()]},
        )
        assert "event_2026" not in str([node for node in walk(cursor.fetchone()[0][0]["Plan"]) if node["Actual Loops"]])


def walk(plan):
    """The nodes of a plan without their children."""
    yield {name: value for name, value in plan.items() if name != "Plans"}
    for child in plan.get("Plans", []):
        yield from walk(child)


@pytest.mark.django_db
def test_rows_are_put_together_without_a_change_of_what_they_say():
    for number in range(12):
        send(TEN, TEN + (number % 3) * HOUR)
    Event.objects.filter(timestamp=TEN + HOUR).delete()
    do(LATER)
    before = listed(), counted(), HourChange.objects.count()
    hour_counts.fold(at=before[2])
    assert HourChange.objects.count() == before[2], "few enough are left alone"
    hour_counts.fold(at=5)
    assert HourChange.objects.count() == 3
    assert (listed(), counted()) == before[:2] == ([], counted())


def write():
    for number in range(15):
        send(*(TEN + (number + more) % 4 * HOUR for more in range(5)))


def erase():
    for _ in range(10):
        some = list(Event.objects.values_list("event_id", flat=True)[:3])
        Event.objects.filter(event_id__in=some).delete()


def give_up():
    for _ in range(10):
        with transaction.atomic():
            send(TEN)
            transaction.set_rollback(True)


def fold():
    for _ in range(100):
        hour_counts.fold(at=0)


@pytest.mark.django_db(transaction=True)
def test_counts_are_exact_while_many_write_delete_and_fold_at_once():
    errors = []

    def guarded(work):
        try:
            work()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    works = [write, write, erase, give_up, fold, fold]
    threads = [threading.Thread(target=guarded, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert listed() == counted()
    assert hour_counts.recount() == 0


@pytest.mark.django_db
def test_what_went_around_the_triggers_is_found_by_counting():
    send(TEN, TEN + HOUR)
    do()
    with connection.cursor() as cursor:
        cursor.execute("""DELETE FROM event_2026_11 WHERE "timestamp" = %s""", [TEN])
    assert listed() == []
    assert hour_counts.recount() == 1
    assert listed() == [(TEN, 0)]
    assert hour_counts.recount() == 0


@pytest.mark.django_db(transaction=True)
def test_a_month_that_is_kept_no_longer_takes_its_counts_along():
    may = datetime(2026, 5, 10, tzinfo=UTC)
    send(may, TEN)
    do(LATER)
    assert datetime(2026, 5, 1, tzinfo=UTC).date() in partitions.drop_expired(now=NOW, keep=1)
    assert set(HourChange.objects.values_list("window_start", flat=True)) == {TEN}
    late = ingest([make_event(timestamp=may.isoformat())], now=LATER, source="test", historical=True)
    assert [refused.code for refused in late.rejected] == ["month_dropped"]
    assert listed() == [], "what comes later wakes no hour whose counts are all that is left of it"


@pytest.mark.django_db
def test_a_partition_dropped_by_hand_takes_its_hours_along():
    may = datetime(2026, 5, 10, tzinfo=UTC)
    send(may, TEN)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE event_2026_05")
    assert listed() == [(TEN, 1)]
    partitions.forget()
