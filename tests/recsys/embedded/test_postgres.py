"""The embedded PostgreSQL, started for real, from folders open and closed to other users."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from recsys.embedded import addresses
from recsys.embedded.postgres import Postgres
from recsys.embedded.process import ServerError
from tests.recsys.embedded.conftest import is_alive, stranger_at

Eventually = Callable[[Callable[[], bool]], None]
START_AND_WAIT = """
import pathlib, sys, time
from recsys.embedded.{module} import {name}
server = {name}(pathlib.Path(sys.argv[1]))
server.start()
print(server.process.pid, flush=True)
time.sleep(60)
"""


@contextlib.contextmanager
def started(var_dir: Path, *, throwaway: bool = True) -> Iterator[Postgres]:
    server = Postgres(var_dir, throwaway=throwaway)
    assert server.start()
    try:
        yield server
    finally:
        server.stop()


def ask(server: Postgres, *statements: str) -> list[tuple]:
    with contextlib.closing(psycopg2.connect(server.addresses.database_url)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_the_first_start_makes_the_database_and_the_next_one_finds_it(var_dir: Path):
    with started(var_dir) as server:
        assert server.process is not None
        # Whoever starts it, also root: it runs without any of root's rights.
        assert "CapEff:\t0000000000000000" in Path(f"/proc/{server.process.pid}/status").read_text()
        ask(server, "CREATE TABLE kept AS SELECT 7 AS n")
        assert ask(server, "SHOW server_encoding") == [("UTF8",)]
        assert ask(server, "SELECT lower('ÄÖÜ')") == [("äöü",)]
    assert not server.is_running()
    with started(var_dir) as server:
        assert ask(server, "SELECT n FROM kept") == [(7,)]


def test_it_listens_on_this_machine_only_and_wants_the_password(made_var_dir: Path):
    with started(made_var_dir) as server:
        assert ask(server, "SHOW listen_addresses") == [("127.0.0.1",)]
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(server.addresses.database_url.replace(server.addresses.postgres_password, "guess"))


def test_what_is_stored_is_durable_unless_it_is_said_to_be_thrown_away(made_var_dir: Path):
    with started(made_var_dir, throwaway=False) as server:
        assert ask(server, "SELECT current_setting('fsync'), current_setting('synchronous_commit')") == [("on", "on")]
    with started(made_var_dir) as server:
        assert ask(server, "SHOW fsync") == [("off",)]


def test_a_running_server_is_reused_and_stopped_by_its_starter_only(made_var_dir: Path):
    with started(made_var_dir) as server:
        guest = Postgres(made_var_dir)
        assert not guest.start()
        guest.stop()
        assert guest.is_running()
        assert ask(server, "SELECT 1") == [(1,)]
    assert not guest.is_running()


def test_a_killed_server_recovers_what_was_committed(made_var_dir: Path):
    server = Postgres(made_var_dir)
    server.start()
    assert server.process is not None
    ask(server, "CREATE TABLE kept AS SELECT 7 AS n")
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    assert (made_var_dir / "postgres" / "data" / "postmaster.pid").exists()
    with started(made_var_dir) as again:
        assert ask(again, "SELECT n FROM kept") == [(7,)]


def test_a_stale_pid_file_with_the_number_of_a_living_stranger_is_no_obstacle(made_var_dir: Path):
    with started(made_var_dir) as server:
        pid_file = server.data / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:], ""]))
    with started(made_var_dir) as server:
        assert ask(server, "SELECT 1") == [(1,)]


def test_an_interrupted_first_start_is_begun_again(one_var_dir: Path):
    half_made = one_var_dir / "postgres" / "data.new"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")
    with started(one_var_dir) as server:
        assert ask(server, "SELECT 1") == [(1,)]


def test_a_project_that_moved_to_a_closed_folder_keeps_its_data(made_var_dir: Path):
    with started(made_var_dir) as server:
        ask(server, "CREATE TABLE kept AS SELECT 7 AS n")
    made_var_dir.parent.parent.chmod(0o700)
    with started(made_var_dir) as server:
        assert ask(server, "SELECT n FROM kept") == [(7,)]


def test_a_strangers_port_is_left_alone(made_var_dir: Path):
    server = Postgres(made_var_dir, throwaway=True)
    server.move_port()  # one at which no connection of an earlier test lingers
    taken = server.port
    with stranger_at(taken):
        with pytest.raises(ServerError, match=f"Port {taken} "):
            server.start()
        server.settle_port()
        assert server.port != taken
        assert server.start()
        assert ask(server, "SHOW port") == [(str(server.port),)]
        server.stop()


def test_data_made_with_another_password_is_said_to_be_so(made_var_dir: Path):
    with started(made_var_dir):
        pass
    (made_var_dir / addresses.FILE_NAME).unlink()
    with pytest.raises(ServerError, match="was made with another password"):
        Postgres(made_var_dir).start()
    assert not Postgres(made_var_dir).is_running()


def test_data_of_another_version_is_said_to_be_so(made_var_dir: Path):
    with started(made_var_dir) as server:
        version = server.data / "PG_VERSION"
    version.write_text("9\n")
    with pytest.raises(ServerError, match=r"was made by PostgreSQL 9, but .* is version"):
        Postgres(made_var_dir).start()


def test_a_failing_start_shows_the_log(made_var_dir: Path):
    with started(made_var_dir) as server:
        (server.data / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(ServerError, match="no_such_setting"):
        Postgres(made_var_dir).start()


def test_a_folder_without_binaries_is_named(made_var_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PG_BIN_DIR", str(tmp_path))
    with pytest.raises(ServerError, match="There is no executable postgres in "):
        Postgres(made_var_dir).start()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is gone")
def test_it_ends_when_its_starter_is_killed(made_var_dir: Path, eventually: Eventually):
    script = START_AND_WAIT.format(module="postgres", name="Postgres")
    command = [sys.executable, "-c", script, str(made_var_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert is_alive(pid)
        starter.kill()
    eventually(lambda: not is_alive(pid))
    eventually(lambda: not Postgres(made_var_dir).is_running())
