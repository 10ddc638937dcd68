"""The embedded Valkey, started for real."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from recsys.embedded import addresses
from recsys.embedded.valkey import Valkey
from tests.recsys.embedded.conftest import is_alive
from tests.recsys.embedded.test_postgres import START_AND_WAIT


def test_it_answers_to_its_password_only_and_writes_nothing(var_dir: Path):
    server = Valkey(var_dir)
    assert not server.answers()
    assert server.start()
    try:
        with redis.Redis.from_url(server.addresses.broker_url) as client:
            assert client.set("key", "value")
            assert client.config_get("appendonly", "save") == {"appendonly": "no", "save": ""}
        with (
            redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
    finally:
        server.stop()
    assert not server.is_running()
    assert list(server.home.iterdir()) == []


def test_the_password_is_in_no_process_list(one_var_dir: Path):
    server = Valkey(one_var_dir)
    server.start()
    try:
        assert server.process is not None
        command = Path(f"/proc/{server.process.pid}/cmdline").read_text()
        assert server.addresses.valkey_password not in command
    finally:
        server.stop()


def test_somebody_elses_server_at_the_port_is_not_ours(one_var_dir: Path, tmp_path: Path):
    other = Valkey(tmp_path)
    other.start()
    try:
        server = Valkey(one_var_dir)
        addresses.move(one_var_dir, valkey_port=other.port)
        assert not server.answers()
        server.settle_port()
        assert server.port != other.port
    finally:
        other.stop()


def test_a_killed_server_starts_again(one_var_dir: Path):
    server = Valkey(one_var_dir)
    server.start()
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    assert not server.is_running()
    server.stop()
    assert server.start()
    server.stop()


def test_it_listens_on_this_machine_only(one_var_dir: Path):
    server = Valkey(one_var_dir)
    server.start()
    try:
        with socket.create_server(("127.0.0.2", server.port)):
            pass  # bound to 127.0.0.1 alone, it leaves the port of every other address free
    finally:
        server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is gone")
def test_it_ends_when_its_starter_is_killed(one_var_dir: Path, eventually: Callable[[Callable[[], bool]], None]):
    script = START_AND_WAIT.format(module="valkey", name="Valkey")
    with subprocess.Popen(
        [sys.executable, "-c", script, str(one_var_dir)], stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        starter.kill()
    eventually(lambda: not is_alive(pid))
