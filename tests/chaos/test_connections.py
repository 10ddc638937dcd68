"""F10: all connections that the database allows are taken."""

from contextlib import closing, suppress

import psycopg2
import pytest

from tests.chaos.checker import check
from tests.chaos.ledger import load
from tests.chaos.system import eventually

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]
CLIENTS = 40
MOST = 400


def test_without_a_free_connection_it_is_503_until_there_is_one(system, ledger):
    held = []
    with load(system.port, system.key, ledger, clients=CLIENTS):
        eventually(lambda: ledger.statuses[202] > CLIENTS)
        with closing(psycopg2.connect(system.database_url, application_name="thief")) as thief:
            thief.autocommit = True
            try:
                eventually(lambda: take_all(system.database_url, thief, held) and ledger.statuses[503] > CLIENTS)
                lives = system.call("GET", "/livez")
                assert lives.status == 200, lives
                assert system.call("GET", "/readyz").status == 503
            finally:
                for connection in held:
                    connection.close()
        acknowledged = ledger.statuses[202]
        eventually(lambda: ledger.statuses[202] > acknowledged + CLIENTS)
    assert set(ledger.statuses) == {202, 503}
    check(system, ledger, least=2 * CLIENTS)


def take_all(url, thief, held):
    """End whatever the application has, and be faster than it."""
    with thief.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'recsys'")
    with suppress(psycopg2.OperationalError):
        while len(held) < MOST:
            held.append(psycopg2.connect(url, application_name="thief", connect_timeout=5))
    return True
