"""The ground under every test: throwaway servers below `var/test`, unless `DATABASE_URL` names real ones.

It is imported before the settings are (pyproject.toml names no settings module for pytest, this file does), because
the settings read the environment once. Doctests of the pure folders need none of this.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsys.settings")
os.environ["RECSYS_VAR_DIR"] = str(ROOT / "var" / "test")
# One answer on every server, so that both runs of the suite test the same pages.
os.environ["DEMO_PLAYER"] = "1"


def pytest_configure(config: pytest.Config) -> None:
    """Start the throwaway servers before anything asks for a database, and stop them when the run is over."""
    from recsys.embedded.servers import configure

    servers = configure(Path(os.environ["RECSYS_VAR_DIR"]), os.environ, throwaway=True)
    config.add_cleanup(servers.stop)
    servers.start()
