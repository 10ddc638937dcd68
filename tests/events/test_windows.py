"""Filling hours: found by counting, done once, done again after a crash."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection

from events import windows
from events.ingestion import ingest
from events.models import Event, WindowFill
from events.windows import Window, fill, open_windows, reopen, runs
from tests.events.conftest import NOW, make_event

HOUR = timedelta(hours=1)
TEN = datetime(2026, 11, 23, 10, tzinfo=UTC)


def send(*moments):
    assert ingest([make_event(timestamp=when.isoformat()) for when in moments], now=NOW, source="test").rejected == ()


def die_halfway():
    with fill("tests", open_windows("tests", until=NOW), now=NOW) as mine:
        Event.objects.all().delete()
        raise RuntimeError(mine)


def do(family="tests", until=NOW):
    with fill(family, open_windows(family, until=until), now=NOW) as mine:
        return mine


@pytest.mark.django_db
def test_hours_with_events_are_open_until_they_are_done():
    send(TEN, TEN + HOUR / 2, TEN - 3 * HOUR)
    assert open_windows("tests", until=NOW) == [Window(TEN - 3 * HOUR, 1), Window(TEN, 2)]
    assert [window.start for window in do()] == [TEN - 3 * HOUR, TEN]
    assert open_windows("tests", until=NOW) == []
    assert set(WindowFill.objects.values_list("state", "finished_at")) == {("done", NOW)}


@pytest.mark.django_db
def test_families_know_nothing_of_each_other():
    send(TEN)
    do("one")
    assert [window.start for window in open_windows("other", until=NOW)] == [TEN]


@pytest.mark.django_db
def test_a_late_event_and_an_erased_one_open_their_hour_again():
    send(TEN, TEN + HOUR)
    do()
    send(TEN + HOUR / 2)
    assert open_windows("tests", until=NOW) == [Window(TEN, 2)]
    do()
    Event.objects.filter(timestamp__gte=TEN + HOUR).delete()
    assert open_windows("tests", until=NOW) == [Window(TEN + HOUR, 0)]
    do()
    assert open_windows("tests", until=NOW) == []


@pytest.mark.django_db
def test_the_running_hour_counts_as_far_as_it_has_come():
    send(TEN + HOUR / 4, TEN + HOUR / 2)
    assert do(until=TEN + HOUR / 3) == [Window(TEN, 1)]
    assert open_windows("tests", until=NOW) == [Window(TEN, 2)]


@pytest.mark.django_db
def test_reopened_hours_are_done_again_though_their_number_is_the_same():
    send(TEN, TEN + HOUR)
    do("one")
    do("two")
    assert reopen(TEN + HOUR / 2, TEN + HOUR, family="one") == 1
    assert open_windows("one", until=NOW) == [Window(TEN, 1)]
    assert open_windows("two", until=NOW) == []


@pytest.mark.django_db
def test_single_hours_are_reopened_for_one_family_and_failed_ones_left_alone():
    send(TEN - HOUR, TEN, TEN + HOUR)
    do("one")
    do("two")
    WindowFill.objects.filter(family="one", window_start=TEN).update(attempts=5, state="aside")
    assert windows.reopen_hours([TEN, TEN + HOUR, TEN + 9 * HOUR], family="one") == 1
    assert open_windows("one", until=NOW) == [Window(TEN + HOUR, 1)]
    assert open_windows("two", until=NOW) == []
    assert WindowFill.objects.get(family="one", window_start=TEN).state == "aside"


@pytest.mark.django_db(transaction=True)
def test_an_hour_whose_run_died_is_marked_and_done_again():
    send(TEN)
    with pytest.raises(RuntimeError):
        die_halfway()
    assert Event.objects.count() == 1
    assert windows.unfinished() == {"tests": NOW}
    assert do() == [Window(TEN, 1)]
    assert windows.unfinished() == {}


@pytest.mark.django_db(transaction=True)
def test_two_schedulers_never_do_an_hour_twice():
    send(TEN, TEN + HOUR)
    opened = open_windows("tests", until=NOW)
    inside, leave, answers = threading.Event(), threading.Event(), []

    def first():
        with fill("tests", opened[:1], now=NOW) as mine:
            answers.append(mine)
            inside.set()
            leave.wait(10)
        connection.close()

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(10)
    # It passes over the hour that is being done, and does not wait for it.
    with fill("tests", opened, now=NOW) as mine:
        answers.append(mine)
    leave.set()
    thread.join()
    # And one that counted before the others were done finds nothing left to do.
    with fill("tests", opened, now=NOW) as mine:
        answers.append(mine)
    assert answers == [opened[:1], opened[1:], []]


def fails_at(*bad, error=ValueError):
    """Work that cannot do some hours."""

    def work(mine):
        for window in mine:
            if window.start in bad:
                raise error(f"hour {window.start.hour} is no good")

    return work


@pytest.mark.django_db
def test_of_many_hours_only_the_one_to_blame_is_left_for_later():
    starts = [TEN - hour * HOUR for hour in range(9)]
    send(*starts)
    done = windows.work_off("tests", open_windows("tests", until=NOW), fails_at(starts[3], starts[4]), now=NOW)
    assert [window.start for window in done] == sorted({*starts} - {starts[3], starts[4]})
    assert open_windows("tests", until=NOW) == []
    later = NOW + timedelta(seconds=windows.BACKOFF_S)
    assert [window.start for window in open_windows("tests", until=NOW, now=later)] == [starts[4], starts[3]]
    row = WindowFill.objects.get(window_start=starts[3])
    assert (row.state, row.attempts, row.retry_at, row.error) == ("started", 1, later, "ValueError: hour 7 is no good")
    assert windows.work_off("tests", open_windows("tests", until=NOW, now=later), fails_at(), now=later) != []
    assert not WindowFill.objects.exclude(state="done", attempts=0, retry_at=None, error="").exists()


@pytest.mark.django_db
def test_a_database_that_is_away_is_no_hour_s_fault():
    send(TEN)
    with pytest.raises(OperationalError):
        windows.work_off("tests", open_windows("tests", until=NOW), fails_at(TEN, error=OperationalError), now=NOW)
    assert WindowFill.objects.get().attempts == 0


@pytest.mark.django_db
def test_a_message_that_no_table_keeps_is_cut_to_one_that_it_does():
    send(TEN)

    def work(mine):
        raise ValueError("\0" + "long " * 1_000)

    windows.work_off("tests", open_windows("tests", until=NOW), work, now=NOW)
    assert len(WindowFill.objects.get().error) == windows.MAX_ERROR_CHARS


@pytest.mark.django_db
def test_only_hours_that_failed_can_be_tried_again():
    send(TEN)
    do()
    ids = list(WindowFill.objects.values_list("pk", flat=True))
    assert windows.try_again(ids) == 0
    assert open_windows("tests", until=NOW) == []


@pytest.mark.django_db
def test_the_lag_is_measured_against_the_newest_event():
    assert windows.lags(now=NOW) == {}
    send(TEN)
    with fill("tests", open_windows("tests", until=TEN + HOUR), now=TEN + HOUR):
        pass
    assert windows.lags(now=NOW) == {"tests": 0}
    send(TEN + 1.5 * HOUR)
    assert windows.lags(now=NOW) == {"tests": 1800}
    assert windows.lags(now=TEN + HOUR) == {"tests": 0}
    WindowFill.objects.update(state="started")
    assert windows.lags(now=NOW + HOUR) == {"tests": 2 * 3600}


def test_runs_are_bounded_by_events_and_by_hours():
    hours = [Window(TEN + number * HOUR, events) for number, events in enumerate([9, 1, 1, 1, 1])]
    assert [[w.events for w in run] for run in runs(hours, max_events=5, max_windows=3)] == [[9], [1, 1, 1], [1]]
