"""F5 and F6: the broker dies and forgets everything, and the broker stands still."""

import os
import signal
import statistics
import time

import pytest
import redis
from celery import Celery
from kombu import Connection

from tests.chaos.checker import caught_up, check
from tests.chaos.ledger import load
from tests.chaos.system import PATIENCE_S, eventually, stopped, within

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]
CLIENTS = 12
HANG_S = 60.0
MINUTE_S = 60.0
TICK_S = 5.0
FEEDS = 40


def lose_the_broker(system):
    """Empty it, then kill it; the supervisor starts an empty one."""
    with redis.Redis.from_url(system.broker_url) as client:
        client.flushall()
    victim = system.broker()
    os.kill(victim, signal.SIGKILL)
    return victim


def feed_seconds(system, times):
    """How long each of some pages of the feed takes; every one must come."""
    answers = [system.call("GET", f"/api/v1/feed?user_id=u{number % 40}&limit=5") for number in range(times)]
    assert {answer.status for answer in answers} == {200}
    assert all(answer.body["items"] for answer in answers)
    return [answer.seconds for answer in answers]


def test_a_broker_that_is_emptied_and_killed_loses_no_event_and_no_work(system, ledger):
    with load(system.port, system.key, ledger, clients=CLIENTS):
        eventually(lambda: ledger.statuses[202] > CLIENTS)
        victim = lose_the_broker(system)
        feed_seconds(system, FEEDS)
        eventually(lambda: system.broker() != victim)
        acknowledged = ledger.statuses[202]
        eventually(lambda: ledger.statuses[202] > acknowledged + CLIENTS)
    assert set(ledger.statuses) == {202}
    assert ledger.lost_connections == 0
    end = time.monotonic() + PATIENCE_S
    # The connection is named at each call: the environment names the broker of the tests, and Celery heeds it first.
    with Celery(set_as_current=False) as clock, Connection(system.broker_url) as line:
        while not within(TICK_S, lambda: caught_up(system)):
            assert time.monotonic() < end, system.log[-2000:]
            # As the system's own clock does, only more often: a tick names no work, that is found in the database.
            clock.send_task("events.tasks.rebuild_sessions", connection=line, expires=TICK_S)
            clock.send_task("features.tasks.materialize_features", connection=line, expires=TICK_S)
    check(system, ledger, least=2 * CLIENTS)


@pytest.mark.slow
def test_the_clock_finds_the_lost_work_again_by_itself(system, ledger):
    with load(system.port, system.key, ledger, clients=CLIENTS):
        eventually(lambda: ledger.statuses[202] > CLIENTS)
        lose_the_broker(system)
        acknowledged = ledger.statuses[202]
        eventually(lambda: ledger.statuses[202] > acknowledged + CLIENTS)
    eventually(lambda: caught_up(system), limit_s=3 * MINUTE_S, or_say=lambda: system.log[-2000:])
    check(system, ledger, least=2 * CLIENTS)


@pytest.mark.slow
def test_a_broker_that_stands_still_costs_a_request_now_and_then_a_moment(system, ledger):
    token = system.call("POST", "/api/v1/auth/client-token", {"user_id": "u1"}).body["token"]
    feed_seconds(system, FEEDS)
    before = feed_seconds(system, FEEDS)
    with load(system.port, system.key, ledger, clients=CLIENTS), stopped(system.broker()):
        end = time.monotonic() + HANG_S
        during = []
        while time.monotonic() < end:
            during += feed_seconds(system, FEEDS)
        assert limited(system, token), "without its store the limit holds in each process"
    assert set(ledger.statuses) == {202}
    # The load beside it costs something too; a wait for the store at each request would cost 150 ms and more.
    assert statistics.median(during) < max(2 * statistics.median(before), 0.1), (before, during)
    assert max(ledger.seconds) < 10, "no request hung on the store"
    check(system, ledger, least=2 * CLIENTS)


def limited(system, token):
    """Ask as one user until that is too often; whether it ever was."""
    for _ in range(5_000):
        answer = system.call("GET", "/api/v1/users/u1", key=token)
        if answer.status == 429:
            return int(answer.headers["retry-after"]) >= 1
    return False
