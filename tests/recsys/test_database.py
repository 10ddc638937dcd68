"""Whether a kept connection holds is known without asking the server, unless something came over the line."""

import time

import pytest
from django.db import connection
from django.db.backends.postgresql import base

pytestmark = pytest.mark.django_db


@pytest.fixture
def other():
    """A connection beside the one of the test."""
    made = connection.copy()
    made.connect()
    yield made
    made.close()


def test_a_connection_that_holds_is_usable_and_nothing_is_asked(other, monkeypatch):
    monkeypatch.setattr(base.DatabaseWrapper, "is_usable", lambda _: pytest.fail("the server was asked"))
    assert other.is_usable()


def test_a_connection_whose_server_process_ended_is_not(other):
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (number,) = cursor.fetchone()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [number])
    deadline = time.monotonic() + 10
    while other.is_usable() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not other.is_usable()


def test_a_connection_that_was_closed_here_is_not(other):
    other.connection.close()
    assert not other.is_usable()


def test_a_line_on_which_something_waits_is_asked(other):
    with other.cursor() as cursor:
        cursor.execute("LISTEN somebody")
    with other.cursor() as cursor:
        cursor.execute("NOTIFY somebody")
    assert other.is_usable()
