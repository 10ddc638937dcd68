"""A copy, the segments after it, and the way back to a moment; a dump and the way back."""

import contextlib
import json
import os
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest

from recsys.embedded import addresses, backups
from recsys.embedded.postgres import Postgres, archive_settings
from recsys.embedded.process import ServerError


@pytest.fixture
def server(one_var_dir, monkeypatch):
    """A durable server with an archive."""
    monkeypatch.setenv("BACKUP_DIR", str(one_var_dir.parent / "it's all kept"))
    server = Postgres(one_var_dir)
    server.start()
    yield server
    server.stop()


def folder(server):
    return server.var_dir.parent / "it's all kept"


def ask(server, sql, database="recsys"):
    known = server.addresses
    url = f"postgres://recsys:{known.postgres_password}@127.0.0.1:{known.postgres_port}/{database}"
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []


def take(server):
    connect = backups.environment(server.addresses)
    return backups.take(folder(server), server.var_dir, connect=connect, embedded=True, now=datetime.now(UTC))


def moment(server):
    return ask(server, "SELECT clock_timestamp()")[0][0]


def test_a_dropped_database_comes_back_as_of_a_moment_with_its_models(server):
    (server.var_dir / "models" / "ranker-1").mkdir(parents=True)
    (server.var_dir / "models" / "ranker-1" / "graph").write_bytes(b"weights")
    secret = server.addresses.secret_key
    ask(server, "CREATE TABLE kept (n integer)")
    ask(server, "INSERT INTO kept VALUES (1)")
    backup = take(server)
    assert (folder(server) / backup.name).stat().st_mode & 0o077 == 0
    ask(server, "INSERT INTO kept VALUES (2)")
    at = moment(server)
    ask(server, "INSERT INTO kept VALUES (3)")
    with pytest.raises(ServerError, match=r"stop `manage\.py up` first"):
        backups.restore(folder(server) / backup.name, server.var_dir, at=at)
    ask(server, "DROP DATABASE recsys WITH (FORCE)", "postgres")
    server.stop()
    (server.var_dir / "models" / "ranker-1" / "graph").unlink()
    # As after a loss of the installation's own file.
    (server.var_dir / addresses.FILE_NAME).unlink()
    with pytest.raises(ServerError, match="name an older one"):
        backups.restore(folder(server) / backup.name, server.var_dir, at=at - timedelta(days=1))
    backups.restore(folder(server) / backup.name, server.var_dir, at=at)
    assert server.addresses.secret_key == secret
    assert (server.var_dir / "models" / "ranker-1" / "graph").read_bytes() == b"weights"
    server.start()
    assert ask(server, "SELECT n FROM kept ORDER BY n") == [(1,), (2,)]
    assert ask(server, "SHOW archive_mode") == [("on",)]
    assert not [row for row in ask(server, "SELECT name, setting FROM pg_file_settings") if "recovery" in row[0]]
    # It goes on, on a timeline of its own, and can be backed up again.
    ask(server, "INSERT INTO kept VALUES (4)")
    second = take(server)
    assert second.first_segment[:8] == "00000002"
    server.stop()
    backups.restore(folder(server) / second.name, server.var_dir, at=None)
    server.start()
    assert ask(server, "SELECT n FROM kept ORDER BY n") == [(1,), (2,), (4,)]


def test_what_was_not_handed_over_yet_is_taken_from_the_data_that_is_moved_aside(server, eventually):
    ask(server, "CREATE TABLE kept (n integer)")
    backup = take(server)
    ask(server, "INSERT INTO kept SELECT generate_series(1, 100)")
    os.killpg(server.process.pid, 9)
    server.stop()
    # Its backends end a moment later.
    eventually(lambda: not Postgres(server.var_dir).is_running())
    backups.restore(folder(server) / backup.name, server.var_dir, at=None)
    server.start()
    assert ask(server, "SELECT count(*) FROM kept") == [(100,)]
    assert len(list(server.home.glob("data.before-*"))) == 1


def test_a_damaged_backup_is_refused_and_leaves_what_there_is(server):
    backup = take(server)
    path = folder(server) / backup.name / "base" / "base.tar.gz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    server.stop()
    with pytest.raises(ServerError, match=r"damaged|pg_verifybackup"):
        backups.restore(folder(server) / backup.name, server.var_dir, at=None)
    assert server.data.exists()
    server.start()


def test_old_backups_go_with_the_segments_that_only_they_needed(server):
    first, second = take(server), None
    ask(server, "CREATE TABLE kept (n integer)")
    ask(server, "SELECT pg_switch_wal()")
    while second is None or second.name == first.name:
        second = take(server)
    wal = folder(server) / "wal"
    assert (wal / f"{first.first_segment}.gz").exists()
    assert backups.prune(folder(server), keep=1) == [first.name]
    assert [backup.name for backup in backups.known(folder(server))] == [second.name]
    assert not (wal / f"{first.first_segment}.gz").exists()
    assert (wal / f"{second.first_segment}.gz").exists()


def test_a_dump_comes_back_in_place_of_what_is_there(server, tmp_path):
    connect = backups.environment(server.addresses)
    ask(server, "CREATE TABLE kept (n integer)")
    ask(server, "INSERT INTO kept VALUES (1)")
    now = datetime(2026, 11, 30, 3, 20, tzinfo=UTC)
    backup = backups.take(tmp_path, server.var_dir, connect=connect, embedded=False, now=now)
    assert (backup.kind, backup.name) == ("dump", "20261130T032000")
    ask(server, "INSERT INTO kept VALUES (2)")
    backups.restore_dump(tmp_path / backup.name, connect, server.var_dir)
    assert ask(server, "SELECT n FROM kept") == [(1,)]
    server.stop()
    with pytest.raises(ServerError, match="is a dump"):
        backups.restore(tmp_path / backup.name, server.var_dir, at=None)


def test_half_a_backup_is_none(tmp_path):
    (tmp_path / "20261130T032000").mkdir()
    assert backups.known(tmp_path) == []
    (tmp_path / "20261130T032000" / "backup.json").write_text(json.dumps({"name": "x"}))
    with pytest.raises(ServerError, match="no complete backup"):
        backups.known(tmp_path)


def test_nothing_is_archived_without_a_folder_or_for_tests(one_var_dir, monkeypatch):
    monkeypatch.delenv("BACKUP_DIR", raising=False)
    assert not any("archive_mode" in part for part in Postgres(one_var_dir).command()[0])
    monkeypatch.setenv("BACKUP_DIR", str(one_var_dir / "backups"))
    assert "archive_mode=on" in Postgres(one_var_dir).command()[0]
    assert "archive_mode=on" not in Postgres(one_var_dir, throwaway=True).command()[0]
    assert int(archive_settings(one_var_dir)["archive_timeout"]) <= 300, "at most five minutes may be lost"
