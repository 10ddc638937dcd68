"""F24: the kernel ends a process that wants more memory than there is."""

import os
from pathlib import Path

import pytest

from tests.chaos.checker import check
from tests.chaos.ledger import load
from tests.chaos.system import eventually, memory_mb

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(900)]
CLIENTS = 20
V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


@pytest.fixture
def group():
    """A group of processes with a limit of its own, whichever version of cgroups this kernel has."""
    root, limit = (V1, "memory.limit_in_bytes") if V1.is_dir() else (V2, "memory.max")
    folder = root / f"recsys-test-{os.getpid()}"
    folder.mkdir()
    try:
        yield folder, folder / limit
    finally:
        eventually(lambda: not (folder / "cgroup.procs").read_text().split())
        folder.rmdir()


def test_a_web_worker_that_runs_out_of_memory_is_replaced_and_nothing_is_lost(system, ledger, group):
    folder, limit = group
    with load(system.port, system.key, ledger, clients=CLIENTS):
        eventually(lambda: ledger.statuses[202] > CLIENTS)
        victim, *others = system.web_workers()
        # What it has stays with its old group; the little that it asks for from now on is more than it may have.
        limit.write_text(str(256 * 1024))
        (folder / "cgroup.procs").write_text(str(victim))
        assert memory_mb(victim) > 1
        eventually(lambda: victim not in system.web_workers() and len(system.web_workers()) > len(others), limit_s=300)
        acknowledged = ledger.statuses[202]
        eventually(lambda: ledger.statuses[202] > acknowledged + CLIENTS)
    assert set(ledger.statuses) == {202}
    check(system, ledger, least=2 * CLIENTS)
