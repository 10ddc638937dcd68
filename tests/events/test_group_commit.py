"""Group commit: who is stored together, what each is told, and that nobody suffers for a neighbour."""

import threading
import time

import pytest
from django.db import DataError, OperationalError, connection

from events import ingestion, log_writer
from events.group_commit import GroupCommit
from events.ingestion import IngestReport, ingest
from events.models import Event
from tests.events.conftest import NOW, make_event


class Writer:
    """Stores numbers in a list; slow enough that others queue up, and refuses negative ones."""

    def __init__(self, error=None):
        self.groups = []
        self.error = error
        self.first = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, works):
        self.groups.append(list(works))
        if not self.first.is_set():
            self.first.set()
            assert self.go_on.wait(10)
        if self.error is not None and len(self.groups) > 1:
            raise self.error
        if min(works) < 0:
            raise DataError("negative")
        return [work * 10 for work in works]


def submit_behind_the_first(writer, works, **bounds):
    """Submit the first work, and all others while it is being stored; returns answers and errors by work."""
    group = GroupCommit(writer, **{"most_weight": 100, "most_works": 100, **bounds})
    answers = {}

    def submit(work):
        try:
            answers[work] = group.submit(work, weight=1)
        except BaseException as error:  # also the end of a thread
            answers[work] = error

    threads = [threading.Thread(target=submit, args=(work,)) for work in works]
    threads[0].start()
    assert writer.first.wait(10)
    for number, thread in enumerate(threads[1:], start=1):
        thread.start()
        while len(group._queue) < number:
            time.sleep(0.001)
    writer.go_on.set()
    for thread in threads:
        thread.join(10)
    assert not group._busy
    return answers


def test_whoever_comes_alone_is_written_alone():
    writer = Writer()
    writer.first.set()
    group = GroupCommit(writer, most_weight=10, most_works=10)
    assert [group.submit(work, weight=1) for work in (1, 2)] == [10, 20]
    assert writer.groups == [[1], [2]]


def test_those_who_wait_are_written_together_and_each_gets_its_own_answer():
    writer = Writer()
    assert submit_behind_the_first(writer, [1, 2, 3, 4]) == {1: 10, 2: 20, 3: 30, 4: 40}
    assert writer.groups == [[1], [2, 3, 4]]


def test_a_group_is_bounded():
    writer = Writer()
    assert len(submit_behind_the_first(writer, list(range(1, 8)), most_works=2)) == 7
    assert [len(group) for group in writer.groups] == [1, 2, 2, 2]
    writer = Writer()
    submit_behind_the_first(writer, list(range(1, 8)), most_weight=3)
    assert [len(group) for group in writer.groups] == [1, 3, 3]


def test_one_that_cannot_be_stored_costs_its_neighbours_nothing():
    answers = submit_behind_the_first(Writer(), [1, 2, -3, 4])
    assert isinstance(answers.pop(-3), DataError)
    assert answers == {1: 10, 2: 20, 4: 40}


def test_a_database_that_is_away_is_told_to_everyone_at_once():
    writer = Writer(OperationalError("gone"))
    answers = submit_behind_the_first(writer, [1, 2, 3])
    assert answers.pop(1) == 10
    assert [type(error) for error in answers.values()] == [OperationalError] * 2
    assert answers[2] is not answers[3]
    assert writer.groups == [[1], [2, 3]]


def test_a_thread_that_ends_while_it_leads_leaves_nobody_waiting():
    answers = submit_behind_the_first(Writer(SystemExit()), [1, 2, 3])
    assert answers[1] == 10
    assert isinstance(answers[3], OperationalError)


@pytest.mark.django_db(transaction=True)
def test_verdicts_are_exact_when_one_group_holds_the_same_id_several_times(monkeypatch):
    event = make_event("view", watch_duration=1)
    batches = [[event], [event, make_event()], [event | {"user_id": "thief"}], [make_event("dance"), event]]
    cleaned = []
    monkeypatch.setattr(ingestion, "_store", lambda batch: cleaned.append(batch) or log_writer.Stored(0, 0, 0))
    for batch in batches:
        ingest(batch, now=NOW, source="test")
    stored = [log_writer.Stored(1, 0, 0), log_writer.Stored(1, 1, 0), log_writer.Stored(0, 1, 1)]
    assert log_writer.write(cleaned) == [*stored, log_writer.Stored(0, 1, 0)]
    assert [one.accepted for one in log_writer.write(cleaned)] == [0, 0, 0, 0]
    assert Event.objects.count() == 2
    assert Event.objects.filter(event_type="view").get().user_id == "u1"


@pytest.mark.django_db(transaction=True)
def test_single_events_of_many_threads_are_each_stored_once():
    events = [make_event(user_id=f"u{number % 7}") for number in range(60)]
    reports: list[IngestReport] = []
    gate = threading.Barrier(6)

    def send(start: int) -> None:
        try:
            gate.wait(timeout=30)
            ring = events[start:] + events[:start]
            reports.extend(ingest([event], now=NOW, source="test") for event in ring)
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=(10 * order,)) for order in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sum(report.accepted for report in reports) == 60 == Event.objects.count()
    assert sum(report.duplicates for report in reports) == 300
    assert sum(report.conflicts for report in reports) == 0
