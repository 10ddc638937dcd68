"""Which servers are embedded, and how long they run."""

import os
import signal
from pathlib import Path

import pytest

from recsys.embedded import addresses, servers
from recsys.embedded.process import ServerError
from recsys.embedded.servers import configure, running
from tests.recsys.embedded.conftest import stranger_at


def test_nothing_is_embedded_once_both_urls_are_named(tmp_path: Path):
    environ = {"DATABASE_URL": "postgres://u:p@db/x", "CELERY_BROKER_URL": "amqp://mq"}
    assert configure(tmp_path, environ).members == []
    assert environ == {"DATABASE_URL": "postgres://u:p@db/x", "CELERY_BROKER_URL": "amqp://mq"}


def test_only_the_broker_is_embedded_next_to_a_database_of_ones_own(tmp_path: Path):
    environ = {"DATABASE_URL": "postgres://u:p@db/x"}
    assert [server.label for server in configure(tmp_path, environ).members] == ["Valkey"]
    assert environ["CELERY_BROKER_URL"] == addresses.load(tmp_path).broker_url
    assert "RECSYS_EMBEDDED" not in environ


def test_urls_inherited_from_a_parent_process_stay_embedded(tmp_path: Path):
    environ: dict[str, str] = {}
    configure(tmp_path, environ)
    again = dict(environ)
    assert [server.label for server in configure(tmp_path, again).members] == ["Postgres", "Valkey"]
    assert again == environ
    assert environ["RECSYS_EMBEDDED"] == "1"


def test_a_port_that_a_stranger_took_is_exchanged_before_settings_load(tmp_path: Path):
    old = addresses.load(tmp_path)
    environ: dict[str, str] = {}
    with stranger_at(old.postgres_port):
        configure(tmp_path, environ)
    new = addresses.load(tmp_path)
    assert new.postgres_port != old.postgres_port
    assert environ["DATABASE_URL"] == new.database_url
    assert new.valkey_port == old.valkey_port


def test_servers_run_for_the_span_and_no_longer(made_var_dir: Path):
    with running(configure(made_var_dir, {}, throwaway=True)) as both:
        assert [server.is_running() for server in both.members] == [True, True]
    assert [server.is_running() for server in both.members] == [False, False]


def test_a_guest_leaves_the_servers_running(made_var_dir: Path):
    with running(configure(made_var_dir, {}, throwaway=True)) as own:
        with running(configure(made_var_dir, {})) as guest:
            assert all(server.process is None for server in guest.members)
        assert all(server.is_running() for server in own.members)


def test_what_ended_is_revived_also_if_somebody_else_had_started_it(made_var_dir: Path):
    host = configure(made_var_dir, {}, throwaway=True)
    host.start()
    with running(configure(made_var_dir, {}, throwaway=True)) as guest:
        assert guest.revive() == []
        host.stop()
        assert guest.revive() == ["Postgres", "Valkey"]
        assert all(server.answers() for server in guest.members)


def test_reviving_is_given_up_when_it_does_not_help(tmp_path: Path):
    own = configure(tmp_path, {"DATABASE_URL": "postgres://u:p@db/x"})
    with running(own):
        for _ in range(servers.MAX_DEATHS - 1):
            kill(own)
            assert own.revive() == ["Valkey"]
        kill(own)
        with pytest.raises(ServerError, match="ended 6 times within 60 s"):
            own.revive()


def kill(group: servers.Servers) -> None:
    (server,) = group.members
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
