"""One system for all tests that break things; each leaves it whole, and has a ledger of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.ledger import CONTENTS, Ledger
from tests.chaos.system import System, running
from tests.conftest import VAR_DIR
from tests.events.conftest import _forget_keys, as_user, server, server_key  # noqa: F401


@pytest.fixture(scope="session")
def system() -> Iterator[System]:
    """A running system with a few contents in its catalogue."""
    with running(VAR_DIR / "chaos") as started:
        for number in range(CONTENTS):
            body = {"creator_id": f"k{number % 4}", "metadata": {"caption": f"clip {number}"}, "duration_s": 30.0}
            answer = started.call("PUT", f"/api/v1/contents/c{number}", body)
            assert answer.status == 201, answer
        yield started


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")
