"""A place for snapshots."""

# ruff: noqa: PLC0415  models can be imported once the apps are loaded, which is after this file
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def snapshots(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """The folder of snapshots, and a process that has seen none."""
    from features import store

    settings.SNAPSHOT_DIR = tmp_path / "snapshots"
    store.forget()
    yield settings.SNAPSHOT_DIR
    store.forget()
