"""`manage.py` and its `up` from the outside: one clear sentence for everything a person has to mend."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parent.parent.parent
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def manage(tmp_path: Path) -> Run:
    """Run manage.py with the test servers and a var folder of its own; keyword arguments are environment variables."""

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        known = {
            **os.environ,
            "RECSYS_VAR_DIR": str(tmp_path / "var"),
            "WEB_PORT": str(port),
            "NO_COLOR": "1",
            **environ,
        }
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={name: value for name, value in known.items() if value},
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    return run


def assert_sentence(done: subprocess.CompletedProcess[str], expected: str) -> None:
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert expected in done.stderr


def test_a_web_port_in_use_is_said(manage: Run):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert_sentence(manage("up", WEB_PORT=str(port)), f"Cannot listen on 127.0.0.1:{port}")


def test_a_database_that_does_not_answer_is_said(manage: Run):
    done = manage("up", DATABASE_URL="postgres://u:p@127.0.0.1:1/x")
    assert_sentence(done, "The database of DATABASE_URL cannot be used: connection to server")


def test_a_wrong_password_is_said(manage: Run):
    base = settings.DATABASES["default"]
    url = f"postgres://{base['USER']}:guess@{base['HOST']}:{base['PORT']}/postgres"
    assert_sentence(manage("up", DATABASE_URL=url), "password authentication failed")


def test_a_malformed_database_url_is_said(manage: Run):
    assert_sentence(manage("up", DATABASE_URL="mysql://u:p@h/x"), "DATABASE_URL must look like postgres://")
    assert_sentence(manage("up", DATABASE_URL="postgres://u:p@h:port/x"), "DATABASE_URL has a port that is no number")


def test_a_broker_that_does_not_answer_is_said(manage: Run):
    done = manage("up", CELERY_BROKER_URL="redis://127.0.0.1:1/0")
    assert_sentence(done, "The broker of CELERY_BROKER_URL cannot be used")


def test_a_var_folder_that_cannot_be_made_is_said(manage: Run, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    assert_sentence(manage("up", RECSYS_VAR_DIR=str(tmp_path / "file" / "var")), "Cannot write ")


def test_a_command_that_reads_code_only_starts_no_server(manage: Run, tmp_path: Path):
    done = manage("diffsettings", DATABASE_URL="", CELERY_BROKER_URL="")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "var" / "postgres").exists()


def test_a_command_that_needs_servers_gets_them_for_as_long_as_it_runs(manage: Run, tmp_path: Path):
    ask = "from django.db import connection as c; k = c.cursor(); k.execute('SHOW port'); print(k.fetchone()[0])"
    done = manage("shell", "--no-imports", "-c", ask, DATABASE_URL="", CELERY_BROKER_URL="")
    assert done.returncode == 0, done.stderr
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(done.stdout.split()[-1]))) != 0
    assert not (tmp_path / "var" / "postgres" / "data" / "postmaster.pid").exists()


def test_without_an_environment_the_way_to_one_is_said(tmp_path: Path):
    (tmp_path / "manage.py").write_text((ROOT / "manage.py").read_text())
    bare = [sys.executable, "-I", "-S", "manage.py", "up"]
    done = subprocess.run(bare, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert_sentence(done, "run `make setup` first")
