"""The made-up app of the feed's benchmark, and what it concludes from a server's answers."""

import numpy as np
import pytest
from django.utils import timezone

from events import queries
from recsys.benchmarks import event_rows, feed, feed_world
from recsys.benchmarks.load import Answer

pytestmark = pytest.mark.django_db

SIZE = feed_world.Size(contents=600, users=80, events=6_000)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2"


@pytest.fixture
def world(monkeypatch):
    # VACUUM cannot run inside the transaction of a test; what it changes is speed.
    monkeypatch.setattr(feed_world, "AFTER_COPY", "ANALYZE content, user_profile, event")
    return feed_world.fill(SIZE, now=timezone.now())


def test_the_world_has_exactly_the_size_asked_for(world):
    counts = queries.counts()
    assert (counts.contents, counts.users, counts.events) == (600, 80, 6_000)


def test_nobody_meets_a_content_before_its_upload_or_after_now(world):
    log = queries.interactions_between(None, timezone.now())
    number = np.array([int(each[1:]) for each in log.contents.tolist()])
    assert len(log) == SIZE.events
    assert (log.timestamp >= world.uploaded_s[number[log.content]] - 1e-3).all()


def test_people_watch_longer_what_they_love(world):
    log = queries.interactions_between(None, timezone.now(), types=["view"])
    content = np.array([int(each[1:]) for each in log.contents.tolist()])[log.content]
    user = np.array([int(each[1:]) for each in log.users.tolist()])[log.user]
    share = log.watch_s / world.duration_s[content]
    love = world.taste[user, world.topic[content]]
    assert share[love > 0.5].mean() > 1.3 * share[love == 0.0].mean()


def test_watched_seconds_are_written_with_three_digits():
    seconds = [0.2, 1.0, 9.876, 59.99, 120.4]
    infos = [bytes(each) for each in event_rows._watched(np.array(seconds))]
    written = [float(each.rpartition(b": ")[2].rstrip(b"}")) for each in infos]
    assert written == pytest.approx(seconds, rel=1e-3)


def test_a_refusal_for_overload_is_no_error_and_any_other_is():
    crowd = feed.Crowd()
    shed = Answer(0.001, b"HTTP/1.1 503 Service Unavailable\r\n", b'{"error": {"code": "overloaded"}}')
    away = Answer(0.001, b"HTTP/1.1 503 Service Unavailable\r\n", b'{"error": {"code": "unavailable"}}')
    crowd.add(2.0, [Answer(0.02, OK, b"{}"), Answer(0.04, OK, b"{}"), shed, away])
    assert (crowd.shed, crowd.errors, crowd.per_s) == (1, 1, [1.0])
    assert crowd.quantile(0.5) == pytest.approx(30.0)
