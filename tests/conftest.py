"""The ground under every test: throwaway servers below `var/test-1`, unless `DATABASE_URL` names real ones.

Settings read the environment once, so the environment is prepared here, before they load. Doctests of the pure
folders need none of this.
"""

# ruff: noqa: PLC0415  what reads settings is imported where the environment is complete
import fcntl
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest

from tests.stack import READY_S, Stack, running_stack

ROOT = Path(__file__).resolve().parent.parent


def _take_folder() -> tuple[Path, int]:
    """The first of `var/test-1`, `var/test-2`, ... that no other run in this checkout uses, and the lock on it."""
    (ROOT / "var").mkdir(exist_ok=True)
    for number in itertools.count(1):
        folder = ROOT / "var" / f"test-{number}"
        lock = os.open(folder.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return folder, lock
    raise AssertionError("counting does not end")


VAR_DIR, LOCK = _take_folder()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsys.settings")
os.environ["RECSYS_VAR_DIR"] = str(VAR_DIR)
# One answer on every server, so that both runs of the suite test the same pages.
os.environ["DEMO_PLAYER"] = "1"


def pytest_configure(config: pytest.Config) -> None:
    """Start the throwaway servers before anything asks for a database, and stop them when the run is over."""
    from recsys.embedded.servers import configure

    servers = configure(VAR_DIR, os.environ, throwaway=True)
    config.add_cleanup(servers.stop)
    servers.start()
    # pytest-django does this by itself only when a settings module is named before this file is read.
    django.setup()
    from django.conf import settings

    # A million rounds per log-in are for those who stole a database.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Whichever test asks first for the running system waits for its start within its own time; on other servers those
    that would say the same again are left out.
    """
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(READY_S + 300.0))
    left_out = [item for item in items if not _is_wanted(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if _is_wanted(item)]


def _is_wanted(item: pytest.Item) -> bool:
    if os.environ.get("TEST_SERVERS") == "real" and _says_the_same(item):
        return False
    return PART in ("", _part(item))


# `TEST_PART` runs one of them, so that a verification can keep all cores busy; without it, all run one after the other.
PARTS = ("servers", "pages", "arrays")
PART = os.environ.get("TEST_PART", "")
if PART not in ("", *PARTS):
    raise pytest.UsageError(f"TEST_PART must be one of {', '.join(PARTS)}; got {PART!r}")
APPS = {"events", "features", "ranking", "dashboards"}
# They start the embedded servers, whatever the others run on.
WITH_SERVERS_OF_THEIR_OWN = {("recsys", "embedded"), ("chaos",), ("test_metrics_of_workers.py",)}
# Files that are installed, and the arrays of the demo world; what is written of it is `test_seed_demo`.
WITHOUT_SERVERS = {("deploy",), ("recsys", "demo")}


def _part(item: pytest.Item) -> str:
    """What asks the running system or a browser, what says the same on any servers, and the rest."""
    if item.get_closest_marker("browser") or item.get_closest_marker("stack"):
        return "pages"
    return "arrays" if _says_the_same(item) else "servers"


def _says_the_same(item: pytest.Item) -> bool:
    """Whether a test tells nothing about the servers it runs on:

    - doctests, and what tests the pure folders: every folder of an app is one (tests/test_architecture.py);
    - what brings its own servers, and what asks none;
    - pages in a browser: what they ask is asked by the tests of the views too, and the rest is scripts and styles;
    - benchmarks of arrays.
    """
    parts = item.path.relative_to(ROOT / "tests").parts if item.path.is_relative_to(ROOT / "tests") else ()
    if isinstance(item, pytest.DoctestItem) or (len(parts) > 2 and parts[0] in APPS):
        return True
    if item.get_closest_marker("browser"):
        return True
    if _asks_the_database(item):
        return False
    own = WITH_SERVERS_OF_THEIR_OWN | WITHOUT_SERVERS
    return item.path.name.startswith("test_bench") or any(parts[: len(each)] == each for each in own)


def _asks_the_database(item: pytest.Item) -> bool:
    asked = {"db", "transactional_db", "live_server", "stack"} & set(getattr(item, "fixturenames", ()))
    return bool(asked) or item.get_closest_marker("django_db") is not None


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Tests with transactions of their own empty all tables, and two logs refuse to be emptied.

    Their other triggers, against changes and deletions, stay.
    """
    from django.db import connection

    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE moderation_action DISABLE TRIGGER moderation_action_keep")
        cursor.execute("ALTER TABLE experiment_decision DISABLE TRIGGER experiment_decision_keep")


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole running system with demo data and a trained model, started once for all tests that ask for it."""
    with running_stack(VAR_DIR / "stack") as running:
        yield running
