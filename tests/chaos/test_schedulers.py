"""F22: there are two clocks, and then there is none for a while."""

import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from tests import stack
from tests.chaos.checker import caught_up, check
from tests.chaos.ledger import load
from tests.chaos.system import environment, eventually

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(900)]
CLIENTS = 8


def clocks(system):
    parents = stack.processes()
    return [pid for pid, parent in parents.items() if parent == system.pid and " beat " in stack.command(pid)]


def test_two_clocks_count_nothing_twice(system, ledger):
    schedule = system.var_dir / "second-schedule"
    line = [
        sys.executable,
        "-m",
        "celery",
        "--quiet",
        "-A",
        "recsys",
        "beat",
        "--schedule",
        str(schedule),
        "--pidfile=",
    ]
    second = subprocess.Popen(
        line, cwd=stack.ROOT, env=environment(system.var_dir, system.port), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with load(system.port, system.key, ledger, clients=CLIENTS):
            eventually(lambda: ledger.statuses[202] > 10 * CLIENTS)
        eventually(lambda: caught_up(system), limit_s=300)
        assert second.poll() is None, "the second clock did not run: the test proved nothing"
    finally:
        second.terminate()
        second.wait()
    check(system, ledger, least=CLIENTS)


def test_a_clock_that_stood_still_is_followed_by_one_round_not_by_all_that_were_missed(system, ledger):
    (clock,) = clocks(system)
    os.kill(clock, signal.SIGSTOP)
    try:
        with load(system.port, system.key, ledger, clients=CLIENTS):
            eventually(lambda: ledger.statuses[202] > 10 * CLIENTS)
    finally:
        with suppress(ProcessLookupError):
            os.kill(clock, signal.SIGCONT)
    eventually(lambda: caught_up(system), limit_s=300)
    os.kill(clock, signal.SIGKILL)
    eventually(lambda: clocks(system) not in ([], [clock]))
    check(system, ledger, least=CLIENTS)
