"""Settling many letters: in steps that are committed each, told truly, and gone on with by whoever comes next."""

import json

import pytest
from celery import current_app
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import OperationalError
from django.urls import reverse

from events import letter_admin, letter_work, replays, tasks
from events.dead_letters import Refused, keep
from events.models import DeadLetter, Event, LetterWork
from tests.events.conftest import NOW, make_event

pytestmark = pytest.mark.django_db
LIST = "admin:events_deadletter_changelist"
MANY = 120


@pytest.fixture
def staff(db):
    return User.objects.create_superuser("staff")


def keep_letters(count, event_type="like"):
    letters = [Refused(json.dumps(make_event(event_type)).encode(), "too_late", "late", None) for _ in range(count)]
    keep(letters, now=NOW, source="api")
    return list(DeadLetter.objects.values_list("pk", flat=True))


def begin(staff, kind="replay", **options):
    ids = list(DeadLetter.objects.values_list("pk", flat=True))
    return letter_work.begin(LetterWork.Kind(kind), ids, user_id=staff.pk, by="staff", now=NOW, **options)


def post_all(client, action, **data):
    chosen = [DeadLetter.objects.first().pk]
    return client.post(
        reverse(LIST), {"action": action, "select_across": "1", "_selected_action": chosen, **data}, follow=True
    )


@pytest.mark.parametrize(("action", "state"), [("replay_letters", "replayed"), ("discard_letters", "discarded")])
def test_a_page_that_runs_out_of_time_says_so_and_the_task_goes_on(client, staff, monkeypatch, action, state):
    keep_letters(MANY)
    client.force_login(staff)
    monkeypatch.setattr(letter_admin, "PAGE_S", 0.0)
    # A queue of the test's own: the broker may be a real one.
    monkeypatch.setattr(tasks.settle_letters, "queue", "letters-test", raising=False)
    page = post_all(client, action, note="old app")
    with current_app.connection_for_write() as broker:
        assert broker.default_channel.queue_purge("letters-test") == 1
    assert page.status_code == 200
    assert f"0 of {MANY}; the rest goes on in the background" in page.content.decode()
    assert DeadLetter.objects.filter(state="open").count() == MANY
    tasks.settle_letters()
    assert DeadLetter.objects.filter(state=state, settled_by="staff").count() == MANY
    assert LogEntry.objects.filter(user=staff).values("object_id").distinct().count() == MANY
    assert Event.objects.count() == (MANY if state == "replayed" else 0)
    assert letter_work.unfinished() == []


def test_without_a_broker_the_page_answers_and_the_next_tick_goes_on(client, staff, monkeypatch):
    keep_letters(3)
    client.force_login(staff)
    monkeypatch.setattr(letter_admin, "PAGE_S", 0.0)
    monkeypatch.setattr(
        tasks.settle_letters, "apply_async", lambda **_: (_ for _ in ()).throw(tasks.OperationalError())
    )
    assert "goes on in the background" in post_all(client, "replay_letters").content.decode()
    tasks.settle_letters()
    assert Event.objects.count() == 3


def test_whoever_dies_in_between_is_followed_and_every_figure_holds(staff, monkeypatch):
    keep_letters(MANY)
    keep_letters(2, "dance")
    work, whole, tried = begin(staff), replays.replay, []

    def die(ids, **options):
        tried.append(ids)
        if len(tried) == 75:
            raise OperationalError("killed")
        return whole(ids, **options)

    monkeypatch.setattr(replays, "replay", die)
    with pytest.raises(OperationalError):
        letter_work.work_off(work.pk, now=NOW)
    assert DeadLetter.objects.filter(state="replayed").count() == Event.objects.count() == 74
    done = letter_work.work_off(work.pk, now=NOW)
    assert (done.done, done.settled, done.known, done.failed) == (MANY + 2, MANY, 0, 2)
    assert letter_work.in_words(done) == f"{MANY} stored, 2 refused again."
    assert Event.objects.count() == MANY
    assert LogEntry.objects.count() == MANY


def test_work_that_was_done_is_done_once(staff):
    keep_letters(4)
    first, second = begin(staff), begin(staff, "discard", note="x")
    for work in (first, second, first):
        letter_work.work_off(work.pk, now=NOW)
    second.refresh_from_db()
    assert (second.done, second.settled) == (4, 0)
    assert set(DeadLetter.objects.values_list("state", flat=True)) == {"replayed"}


def test_letters_that_come_later_are_no_part_of_it(staff):
    keep_letters(2)
    work = begin(staff, "discard", note="old app")
    keep_letters(1)
    assert letter_work.work_off(work.pk, now=NOW).settled == 2
    assert DeadLetter.objects.filter(state="open").count() == 1


def test_discarding_a_large_group_takes_few_statements(staff, django_assert_max_num_queries):
    keep_letters(1_200)
    work = begin(staff, "discard", note="old app")
    with django_assert_max_num_queries(40):
        letter_work.work_off(work.pk, now=NOW)
    assert DeadLetter.objects.filter(state="discarded").count() == LogEntry.objects.count() == 1_200


def test_the_list_shows_what_goes_on(client, staff):
    keep_letters(3)
    begin(staff, "discard", note="old app")
    client.force_login(staff)
    assert "0 of 3; the rest goes on in the background" in client.get(reverse(LIST)).content.decode()
