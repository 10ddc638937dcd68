"""A disk that fills up while the system runs costs counters, and no process."""

import signal
import subprocess
import sys

import pytest

from tests.test_architecture import ROOT

SCRIPT = """
import os, sys
folder, ours, when = sys.argv[1], sys.argv[2] == "ours", sys.argv[3]
os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
import prometheus_client
from prometheus_client import CollectorRegistry, Counter, generate_latest, multiprocess
if ours:
    from recsys import metric_files
    metric_files.install()
def fill():
    try:
        with open(folder + "/junk", "wb") as file:
            while True:
                file.write(b"x" * 4096); file.flush()
    except OSError:
        pass
if when == "before":
    fill()
counter = Counter("things", "Things.", ["name"], registry=CollectorRegistry())
counter.labels("first").inc()
if when == "after":
    fill()
for number in range(3000):
    counter.labels(f"name {number}").inc(number)
assert counter.labels("name 2999")._value.get() == 2999
assert counter.labels("first")._value.get() == 1
os.remove(folder + "/junk")
counter.labels("first").inc()
assert counter.labels("first")._value.get() == 2
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
print(len(generate_latest(registry)))
"""


def run(tmp_path, whose, when):
    """On a file system of a megabyte, which only this process sees."""
    folder = tmp_path / "small"
    folder.mkdir()
    inside = f'mount -t tmpfs -o size=1m small "{folder}" && exec "$@"'
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", inside, "sh"]
    line = [*command, sys.executable, "-c", SCRIPT, folder, whose, when]
    return subprocess.run(line, cwd=ROOT, check=False, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_full_disk_costs_counters_and_no_process(tmp_path, when):
    done = run(tmp_path, "ours", when)
    assert done.returncode == 0, done.stderr
    assert "no room" in done.stderr
    assert done.stdout.strip().isdecimal()


def test_the_library_alone_would_have_been_killed(tmp_path):
    """Else there is nothing to mend any more, and `metric_files` may go."""
    assert run(tmp_path, "theirs", "after").returncode == -signal.SIGBUS
