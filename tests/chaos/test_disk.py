"""F9: the disk fills up while everything runs, and has room again."""

import os
import shutil
import subprocess
from contextlib import suppress

import pytest

from recsys.embedded.preflight import MIN_FREE_BYTES
from tests import stack
from tests.chaos.checker import check
from tests.chaos.ledger import CONTENTS, load
from tests.chaos.system import eventually, running
from tests.conftest import VAR_DIR

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(900)]
CLIENTS = 8


@pytest.fixture
def small_disk():
    """A file system of its own, a little larger than what the system asks for at its start."""
    folder = VAR_DIR / "chaos-disk"
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MIN_FREE_BYTES + 200_000_000}", "small", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder):
    """Until nothing fits any more."""
    with (folder / "junk").open("ab") as file, suppress(OSError):
        most = shutil.disk_usage(folder).free - 4_000_000
        if most > 0:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size + most)
    with (folder / "more-junk").open("ab") as file, suppress(OSError):
        while True:
            file.write(b"x" * 65_536)
            file.flush()


def said(system):
    """The end of the log, without the lines that repeat."""
    return "\n".join([line for line in system.log.splitlines() if "no room for" not in line][-60:])


def test_a_full_disk_is_503_until_there_is_room_and_nothing_is_lost(small_disk, ledger):
    with running(small_disk) as system:
        for number in range(CONTENTS):
            body = {"creator_id": "k", "metadata": {"caption": f"clip {number}"}, "duration_s": 30.0}
            assert system.call("PUT", f"/api/v1/contents/c{number}", body).status == 201
        with load(system.port, system.key, ledger, clients=CLIENTS):
            eventually(lambda: ledger.statuses[202] > CLIENTS)
            fill(small_disk)
            eventually(lambda: fill(small_disk) or ledger.statuses[503] > CLIENTS, limit_s=180)
            assert system.call("GET", "/livez").status == 200
            assert stack.command(system.pid), "the system gave up"
            for name in ("junk", "more-junk"):
                (small_disk / name).unlink()
            acknowledged = ledger.statuses[202]
            eventually(lambda: ledger.statuses[202] > acknowledged + CLIENTS, or_say=lambda: said(system))
            # What was said of the full disk was lost with it: the log lies there, too.
            eventually(lambda: "has room again" in system.log)
        assert set(ledger.statuses) == {202, 503}
        assert "killed by signal 7" not in system.log
        check(system, ledger, least=2 * CLIENTS)
