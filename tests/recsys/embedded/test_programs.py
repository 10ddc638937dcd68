"""The surroundings of the web server: what is large and gone does not stay in its memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recsys.embedded.programs import WEB_MEMORY, surroundings

# Twelve threads hash a password as staff log-ins do; then what the process holds more than before, in MB.
HASHING = """
import threading
from pathlib import Path
from argon2.low_level import Type, hash_secret

def held():
    (line,) = [each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmRSS")]
    return int(line.split()[1]) / 1024

def log_in():
    for _ in range(3):
        hash_secret(b"phrase", b"saltsalt", time_cost=1, memory_cost=19_456, parallelism=1, hash_len=32, type=Type.ID)

log_in()
before = held()
for _ in range(3):
    threads = [threading.Thread(target=log_in) for _ in range(12)]
    [each.start() for each in threads]
    [each.join() for each in threads]
print(held() - before)
"""


@pytest.fixture
def kept():
    def run(environ):
        done = subprocess.run([sys.executable, "-c", HASHING], env=environ, capture_output=True, text=True, check=True)
        return float(done.stdout)

    return run


def test_log_ins_leave_no_memory_behind(kept):
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    web = surroundings("web", plain, var_dir=Path("var"), folder=Path())
    assert kept(web) < 10, "with the settings of glibc 2.36 they are 228"


def test_who_sets_the_allocator_is_heard_and_other_programs_keep_theirs():
    web = surroundings("web", {"MALLOC_ARENA_MAX": "7"}, var_dir=Path("var"), folder=Path())
    assert web["MALLOC_ARENA_MAX"] == "7"
    assert web["MALLOC_MMAP_THRESHOLD_"] == WEB_MEMORY["MALLOC_MMAP_THRESHOLD_"]
    assert not WEB_MEMORY.keys() & surroundings("work", {}, var_dir=Path("var"), folder=Path()).keys()
