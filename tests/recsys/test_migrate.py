"""Migrations give up a lock soon, let the others pass, and try again; one host works at a time."""

import io
import threading
import time

import psycopg2
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from recsys.management.commands.migrate import _MIGRATION_LOCK, _alone

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def other():
    """Somebody else's connection to the same database."""
    connection.ensure_connection()
    held = psycopg2.connect(connection.get_connection_params().pop("dsn", None) or connection.connection.dsn,
                            password=connection.settings_dict["PASSWORD"])  # fmt: skip
    yield held
    held.close()


def limits():
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout'), current_setting('statement_timeout')")
        return cursor.fetchone()


def lock(other):
    with other.cursor() as cursor:
        cursor.execute("LOCK TABLE django_migrations IN ACCESS EXCLUSIVE MODE")


def test_a_lock_that_is_not_to_be_had_is_said_in_one_sentence_and_the_limits_are_gone(other):
    before = limits()
    lock(other)
    said = io.StringIO()
    with pytest.raises(CommandError, match="not to be had in 2 attempts of 50 ms"):
        call_command("migrate", verbosity=0, attempts=2, lock_timeout_ms=50, stderr=said)
    assert said.getvalue().count("in vain") == 1
    assert limits() == before


def test_it_goes_on_once_the_lock_is_given_up(other):
    lock(other)
    said = io.StringIO()
    release = threading.Timer(0.5, other.rollback)
    release.start()
    call_command("migrate", verbosity=0, attempts=30, lock_timeout_ms=50, stderr=said)
    release.join()
    assert "in vain" in said.getvalue()


def test_another_host_waits_for_its_turn(other):
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_MIGRATION_LOCK])
    started = time.monotonic()
    release = threading.Timer(0.5, other.close)
    release.start()
    with _alone("default", 50):
        assert time.monotonic() - started >= 0.5
        assert limits()[0] == "50ms"
    release.join()
