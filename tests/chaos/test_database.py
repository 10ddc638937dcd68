"""F4 and F7: PostgreSQL restarts, and PostgreSQL stands still."""

import os
import signal
import time
from contextlib import closing

import psycopg2
import pytest

from recsys.embedded.programs import WEB_PATIENCE_S
from tests.chaos.checker import check
from tests.chaos.ledger import load
from tests.chaos.system import eventually, stopped

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]
CLIENTS = 12
HANG_S = 60.0
# The web server's patience, the watcher's grace, and what a loaded machine adds.
ANSWER_S = 20.0


def test_a_database_that_restarts_at_once_is_503_for_seconds_and_heals(system, ledger):
    workers = system.web_workers()
    with load(system.port, system.key, ledger, clients=CLIENTS):
        for _ in range(2):
            acknowledged, refused = ledger.statuses[202], ledger.statuses[503]
            eventually(lambda n=acknowledged: ledger.statuses[202] > n + CLIENTS)
            # What `pg_ctl restart -m immediate` sends; starting it again is the supervisor's part.
            os.kill(system.postmaster(), signal.SIGQUIT)
            eventually(lambda n=refused: ledger.statuses[503] > n)
            back = ledger.statuses[202]
            assert eventually(lambda n=back: ledger.statuses[202] > n + CLIENTS) < 30
    assert set(ledger.statuses) == {202, 503}
    assert system.web_workers() == workers, "the web server healed by itself"
    check(system, ledger, least=4 * CLIENTS)


@pytest.mark.slow
def test_a_locked_log_is_503_while_the_process_lives_and_recovers(system, ledger):
    with load(system.port, system.key, ledger, clients=CLIENTS), closing(psycopg2.connect(system.database_url)) as held:
        eventually(lambda: ledger.statuses[202] > CLIENTS)
        with held.cursor() as cursor:
            cursor.execute("LOCK TABLE event IN ACCESS EXCLUSIVE MODE")
        probe_while(system, HANG_S, ready=503)
        assert ledger.statuses[503] >= CLIENTS
        held.rollback()
        acknowledged = ledger.statuses[202]
        eventually(lambda: ledger.statuses[202] > acknowledged + CLIENTS)
    assert set(ledger.statuses) == {202, 503}
    assert max(ledger.seconds) < ANSWER_S
    check(system, ledger, least=2 * CLIENTS)


@pytest.mark.slow
def test_a_database_that_stands_still_takes_no_thread_for_good(system, ledger):
    with load(system.port, system.key, ledger, clients=CLIENTS):
        eventually(lambda: ledger.statuses[202] > CLIENTS)
        with stopped(*system.backends()):
            probe_while(system, HANG_S / 2)
        acknowledged = ledger.statuses[202]
        eventually(lambda: ledger.statuses[202] > acknowledged + CLIENTS)
    # Whoever was cut before it had said anything gets a fresh connection and its 202, late; the others get 503.
    assert set(ledger.statuses) <= {202, 503}
    assert WEB_PATIENCE_S < max(ledger.seconds) < ANSWER_S, "nothing stood still, or it did for too long"
    check(system, ledger, least=2 * CLIENTS)


def probe_while(system, seconds, ready=None):
    """Ask whether the process lives and can work, again and again; the first always, the second as given."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        lives = system.call("GET", "/livez")
        assert (lives.status, lives.seconds < ANSWER_S / 4) == (200, True), lives
        works = system.call("GET", "/readyz")
        assert works.seconds < ANSWER_S, works
        assert ready is None or works.status == ready, works
