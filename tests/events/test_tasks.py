"""The Celery doors: each tick finds its work in the database, and a broker that was emptied costs one tick."""

from datetime import timedelta

import pytest
from celery import current_app
from django.utils import timezone

from events import dead_letters, partitions, tasks
from events.dead_letters import Refused
from events.ingestion import ingest
from events.models import DeadLetter, Session
from recsys.celery import app
from tests.events.conftest import make_event


def test_every_entry_of_the_schedule_names_a_task_that_exists():
    app.loader.import_default_modules()
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)
    assert {"events.tasks.rebuild_sessions", "events.tasks.maintain_partitions", "events.tasks.drop_dead_letters"} <= {
        entry["task"] for entry in app.conf.beat_schedule.values()
    }


@pytest.mark.django_db
def test_an_emptied_broker_loses_nothing():
    now = timezone.now()
    ingest([make_event(timestamp=(now - timedelta(minutes=5)).isoformat())], now=now, source="test")
    # A queue of the test's own: the broker may be a real one.
    tasks.rebuild_sessions.apply_async(queue="emptied")
    with current_app.connection_for_write() as broker:
        assert broker.default_channel.queue_purge("emptied") == 1
    assert not Session.objects.exists()
    tasks.rebuild_sessions()
    assert Session.objects.count() == 1


@pytest.mark.django_db
def test_old_letters_are_forgotten_and_young_ones_stay():
    now = timezone.now()
    for days in (31, 29):
        letter = Refused(b"%d" % days, "malformed", "no object", None)
        dead_letters.keep([letter], now=now - timedelta(days=days), source="test")
    tasks.drop_dead_letters()
    assert [bytes(letter.payload) for letter in DeadLetter.objects.all()] == [b"29"]


@pytest.mark.django_db(transaction=True)
def test_the_months_to_come_have_their_partition():
    tasks.maintain_partitions()
    month = partitions.month_of(timezone.now())
    wanted = {partitions.shifted(month, number) for number in range(4)}
    assert wanted <= {part.month for part in partitions.existing()}
