"""How long a request waits for a database that does not answer."""

import threading
import time
from pathlib import Path

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test import RequestFactory

from recsys.deadlines import GRACE_S, DatabaseDeadline, Watch
from recsys.embedded.preflight import WebAddress
from recsys.embedded.programs import WEB_PATIENCE_S
from recsys.management.commands.up import processes
from recsys.settings import _patience

pytestmark = pytest.mark.django_db
FAST_S = 10.0


@pytest.fixture
def own():
    """A connection besides the test's, because it will be lost."""
    other = connection.copy()
    yield other
    other.close()
    # A server process that lost its client goes on until it has something to say.
    left = "FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
    ask(connection, f"SELECT count(pg_terminate_backend(pid, 5000)) {left}")


def ask(wrapper, sql):
    with wrapper.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


def test_a_statement_that_goes_on_and_on_loses_its_connection(own):
    started = time.monotonic()
    with pytest.raises((OperationalError, InterfaceError)), Watch(0.3).over(own):
        ask(own, "SELECT pg_sleep(60)")
    assert 0.3 < time.monotonic() - started < FAST_S
    own.close()
    assert ask(own, "SELECT 1") == (1,)


def test_whoever_leaves_in_time_keeps_the_connection(own):
    watch = Watch(1.0)
    (before,) = ask(own, "SELECT pg_backend_pid()")
    for _ in range(3):
        with watch.over(own):
            ask(own, "SELECT pg_sleep(0.4)")
    assert ask(own, "SELECT pg_backend_pid()") == (before,)


def test_the_watcher_ends_when_nobody_is_inside_and_comes_back(own):
    watch = Watch(0.2)
    for _ in range(2):
        with pytest.raises((OperationalError, InterfaceError)), watch.over(own):
            ask(own, "SELECT pg_sleep(60)")
        own.close()
        deadline = time.monotonic() + FAST_S
        while any(thread.name == "database deadline" for thread in threading.enumerate()):
            assert time.monotonic() < deadline, "the watcher does not end"
            time.sleep(0.05)


def test_requests_are_watched_only_where_there_is_a_deadline(settings):
    settings.DATABASE_PATIENCE_S = 0
    assert DatabaseDeadline(lambda request: request).watch is None
    settings.DATABASE_PATIENCE_S = 3
    middleware = DatabaseDeadline(lambda request: middleware.watch._inside.copy())
    ((deadline, watched),) = middleware(RequestFactory().get("/")).values()
    assert deadline - time.monotonic() == pytest.approx(3 + GRACE_S, abs=1)
    assert watched.alias == connection.alias
    assert not middleware.watch._inside


def test_the_server_is_told_to_give_up_first(own):
    assert _patience(0) == {}
    own.settings_dict = {**own.settings_dict, "OPTIONS": {**own.settings_dict["OPTIONS"], **_patience(1)}}
    assert ask(own, "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')") == ("1s", "1s")
    with pytest.raises(OperationalError):
        ask(own, "SELECT pg_sleep(60)")


def test_only_the_web_server_is_in_a_hurry(monkeypatch):
    monkeypatch.delenv("DATABASE_PATIENCE_S", raising=False)
    patience = {
        one.name: one.environ.get("DATABASE_PATIENCE_S") for one in processes(WebAddress("127.0.0.1", 1), Path("/x"))
    }
    assert patience == {"web": str(WEB_PATIENCE_S), "work": None, "beat": None}
    monkeypatch.setenv("DATABASE_PATIENCE_S", "30")
    assert processes(WebAddress("127.0.0.1", 1), Path("/x"))[0].environ["DATABASE_PATIENCE_S"] == "30"
