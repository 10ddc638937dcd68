"""F23: the database is dropped, and comes back as of a moment, with all that was acknowledged before."""

import re
from contextlib import closing

import psycopg2
import pytest

from tests.chaos.ledger import ACCEPTED, load
from tests.chaos.system import eventually, running
from tests.conftest import VAR_DIR

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(900)]
CLIENTS = 8


def test_a_dropped_database_comes_back_as_of_a_moment(ledger, monkeypatch):
    monkeypatch.setenv("BACKUP_DIR", str(VAR_DIR / "chaos-backups"))
    var_dir = VAR_DIR / "chaos-restore"
    with running(var_dir) as system:
        model = var_dir / "models" / "kept" / "graph"
        model.parent.mkdir(parents=True)
        model.write_bytes(b"weights")
        with load(system.port, system.key, ledger, clients=CLIENTS):
            eventually(lambda: ledger.statuses[202] > CLIENTS)
            made = system.manage("backup", "--keep", "3")
            assert made.returncode == 0, made.stderr
            answered = ledger.statuses[202]
            eventually(lambda: ledger.statuses[202] > answered + CLIENTS)
        before = acknowledged(ledger)
        at = system.query("SELECT clock_timestamp()")[0][0]
        with load(system.port, system.key, ledger, clients=CLIENTS):
            answered = ledger.statuses[202]
            eventually(lambda: ledger.statuses[202] > answered + CLIENTS)
        after = acknowledged(ledger) - before
        drop(system.database_url)
        refused = system.call("GET", "/api/v1/feed?user_id=u0&limit=5")
        assert (refused.status, refused.body["error"]["code"]) == (503, "unavailable")
        model.unlink()
    assert ledger.faults == []
    assert after
    assert "would restore" in system.manage("restore", "--at", at.isoformat()).stdout
    done = system.manage("restore", "--at", at.isoformat(), "--yes")
    assert done.returncode == 0, done.stderr
    print(done.stdout)  # noqa: T201  the time it took
    assert re.search(r"restored \S+ to \S+ in \d+ s", done.stdout)
    with running(var_dir, fresh=False) as again:
        assert again.key == system.key
        assert model.read_bytes() == b"weights"
        stored = {event_id for (event_id,) in again.query("SELECT event_id::text FROM event")}
        assert before <= stored, f"{len(before - stored)} of {len(before)} acknowledged events are gone"
        assert not after & stored, f"{len(after & stored)} events came after the moment"
        page = again.call("GET", "/api/v1/feed?user_id=u0&limit=5")
        assert page.status == 200, page


def acknowledged(ledger):
    return {event_id for event_id, verdict in ledger.lines().items() if verdict == ACCEPTED}


def drop(database_url):
    with closing(psycopg2.connect(database_url.rsplit("/", 1)[0] + "/postgres")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("DROP DATABASE recsys WITH (FORCE)")
