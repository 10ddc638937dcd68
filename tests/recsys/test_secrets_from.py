"""Secrets come from the environment or from files, and known ones go nowhere near production."""

import os
import secrets
import subprocess
import sys

import pytest

from recsys.secrets_from import SecretError, faults, take_from_files
from tests.test_architecture import ROOT

GOOD = {
    "SECRET_KEY": secrets.token_urlsafe(60),
    "DATABASE_URL": f"postgres://recsys:{secrets.token_urlsafe(20)}@db.internal:5432/recsys",
    "CELERY_BROKER_URL": f"amqp://recsys:{secrets.token_urlsafe(20)}@mq.internal:5672//",
    "METRICS_TOKEN": secrets.token_urlsafe(20),
}


def test_random_secrets_are_fine_and_so_is_the_embedded_default():
    assert faults(GOOD, embedded=False) == []
    assert faults({}, embedded=True) == []
    assert faults({"SECRET_KEY": GOOD["SECRET_KEY"], "DATABASE_URL": "postgres:///recsys"}, embedded=False) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "short-but-random-Zx81"),
        ("SECRET_KEY", "ab" * 40),
        ("SECRET_KEY", "change-me-" + "abcdefghijklmnopqrstuvwxyz" * 3),
        ("SECRET_KEY", "django-insecure-" + "abcdefghijklmnopqrstuvwxyz" * 3),
        ("DATABASE_URL", "postgres://recsys:recsys@db/recsys"),
        ("DATABASE_URL", "postgres://recsys@db/recsys"),
        ("DATABASE_URL", "postgres://app:postgres@db/recsys"),
        ("DATABASE_URL", "postgres://app:change-me@db/recsys"),
        ("CELERY_BROKER_URL", "amqp://guest:guest@mq//"),
        ("CELERY_BROKER_URL", "redis://cache:6379/0"),
        ("METRICS_TOKEN", "metrics"),
    ],
)
def test_a_secret_that_others_know_is_named_and_not_repeated(name, value):
    found = faults(GOOD | {name: value}, embedded=False)
    assert len(found) == 1
    assert name in found[0]
    assert not value or value not in found[0]


def test_a_file_gives_its_secret_without_the_last_line_end(tmp_path):
    (tmp_path / "key").write_text("from a file\n")
    environ = {"SECRET_KEY_FILE": str(tmp_path / "key")}
    take_from_files(environ)
    assert environ["SECRET_KEY"] == "from a file"


def test_a_file_that_is_not_there_and_two_different_values_are_refused(tmp_path):
    with pytest.raises(SecretError, match="METRICS_TOKEN_FILE names"):
        take_from_files({"METRICS_TOKEN_FILE": str(tmp_path / "none")})
    (tmp_path / "key").write_text("one")
    with pytest.raises(SecretError, match="both set"):
        take_from_files({"SECRET_KEY_FILE": str(tmp_path / "key"), "SECRET_KEY": "another"})


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"SECRET_KEY": "change-me"}, "SECRET_KEY is still a placeholder"),
        ({"DATABASE_URL": "postgres://recsys:recsys@127.0.0.1/recsys"}, "SECRET_KEY is not set"),
        ({"DEBUG": "1"}, "DEBUG"),
    ],
)
def test_nothing_starts_in_production_with_what_others_know(tmp_path, setting, said):
    inherited = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "RECSYS_EMBEDDED"}}
    env = inherited | {"PRODUCTION": "1", "RECSYS_VAR_DIR": str(tmp_path)} | setting
    command = [sys.executable, "manage.py", "check"]
    tried = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert tried.returncode != 0
    assert "not fit for production" in tried.stderr
    assert said in tried.stderr
    quiet = subprocess.run(
        command, cwd=ROOT, env=env | {"PRODUCTION": "0"}, capture_output=True, text=True, check=False
    )
    assert quiet.returncode == 0, quiet.stderr
