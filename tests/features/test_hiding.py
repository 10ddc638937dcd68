"""Erasures beside snapshots: at once, half written, damaged, and removed no earlier than they may be."""

import os
import subprocess
import sys

import pytest

from features import hiding, snapshot_files
from features.hiding import FOLDER, KEPT_S, ErasuresUnreadable
from tests.conftest import ROOT
from tests.features.test_snapshot_files import write

ERASE = """
import sys
from pathlib import Path
from features import hiding
root, who, most = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for number in range(most):
    hiding.add(root, f"{who}-{number}", uploaded=None, erased=1.0)
    hiding.add(root, "everybody's", uploaded=None, erased=1.0)
"""
WRITE = """
import sys
from pathlib import Path
from tests.features.test_snapshot_files import write
print("ready", flush=True)
sys.stdin.readline()
for seed in range(int(sys.argv[2]), int(sys.argv[3])):
    write(Path(sys.argv[1]), seed=seed)
print("done", flush=True)
"""


def started(code, *words):
    """A process that waits for a line before it begins."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)], cwd=ROOT, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    return process


def begin(processes):
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()


def add(root, content_id, *, age=0.0, answered=False):
    before = hiding.names(root)
    hiding.add(root, content_id, uploaded=5.0, erased=9.0)
    (name,) = hiding.names(root) - before
    path = root / FOLDER / name
    os.utime(path, (path.stat().st_mtime - age,) * 2)
    return name


def test_no_erasure_of_many_processes_at_once_is_lost_beside_snapshots_that_are_written(tmp_path):
    erasers = [started(ERASE, tmp_path, who, 40) for who in range(4)]
    writers = [started(WRITE, tmp_path, 0, 5), started(WRITE, tmp_path, 2, 7)]
    begin([*erasers, *writers])
    for process in [*erasers, *writers]:
        process.communicate(timeout=300)
        assert process.returncode == 0
    erased = {f"{who}-{number}" for who in range(4) for number in range(40)} | {"everybody's"}
    listed = hiding.read(tmp_path, hiding.names(tmp_path) - snapshot_files.settled(tmp_path))
    assert {each.content_id for each in listed} == erased
    assert len(listed) == 4 * 40 * 2
    assert not list(tmp_path.glob(".partial-*"))
    assert snapshot_files.load(snapshot_files.current(tmp_path)).version == snapshot_files.current(tmp_path).name


@pytest.mark.parametrize("wait_ms", [5, 20, 60, 140])
def test_a_writer_that_is_killed_leaves_a_snapshot_that_serves_and_the_next_one_is_written(tmp_path, wait_ms):
    first = write(tmp_path, seed=99).version
    writer = started(WRITE, tmp_path, 0, 200)
    begin([writer])
    while writer.poll() is None and snapshot_files.current(tmp_path).name == first:
        pass
    with pytest.raises(subprocess.TimeoutExpired):
        writer.wait(wait_ms / 1000)
    writer.kill()
    writer.communicate()
    serving = snapshot_files.current(tmp_path)
    assert snapshot_files.load(serving).version == serving.name
    assert write(tmp_path, seed=500).version == snapshot_files.current(tmp_path).name


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"null", b'{"content_id": 7}', b'{"content_id": "other-1"}'])
def test_a_damaged_erasure_hides_as_before(tmp_path, body):
    name = add(tmp_path, "neon-1")
    (tmp_path / FOLDER / name).write_bytes(body)
    (erasure,) = hiding.read(tmp_path, [name])
    assert hiding.of([erasure], ["neon-1", "other-1"]) == {name: "neon-1"}
    assert hiding.of([erasure], ["other-1"]) == {}
    assert not erasure.undone_by(7.0, 1e12), "nobody knows whether it is another upload"


def test_what_a_killed_eraser_left_half_written_is_no_erasure_and_goes_in_time(tmp_path):
    name = add(tmp_path, "neon-1")
    half = tmp_path / FOLDER / f".{name}"
    half.write_bytes(b'{"content')
    assert hiding.names(tmp_path) == {name}
    hiding.clear(tmp_path, ())
    assert half.exists()
    os.utime(half, (half.stat().st_mtime - 2 * KEPT_S,) * 2)
    hiding.clear(tmp_path, ())
    assert not half.exists()
    assert hiding.names(tmp_path) == {name}


def test_an_erasure_goes_once_every_snapshot_has_answered_it_and_not_before(tmp_path):
    new, old, other = add(tmp_path, "a"), add(tmp_path, "a", age=0.9 * KEPT_S), add(tmp_path, "b", age=2 * KEPT_S)
    write(tmp_path, seed=0)
    for seed in (1, 2, 3):
        write(tmp_path, seed=seed, answered=(new, old))
        assert hiding.names(tmp_path) == {new, old, other}
    grow_old(tmp_path / FOLDER / old, 0.2 * KEPT_S)
    write(tmp_path, seed=4, answered=(new, old))
    assert hiding.names(tmp_path) == {new, other}, "a snapshot begun before the new one may still be on its way"


def grow_old(path, seconds):
    os.utime(path, (path.stat().st_mtime - seconds,) * 2)


@pytest.mark.parametrize("by", ["a tick", "the next snapshot"])
def test_older_snapshots_hold_what_was_erased_for_an_hour_and_not_longer(tmp_path, by):
    first, second = (tmp_path / write(tmp_path, seed=seed).version for seed in (0, 1))
    name, unanswered = add(tmp_path, "a"), add(tmp_path, "b", age=2 * KEPT_S)
    third = tmp_path / write(tmp_path, seed=2, answered=(name,)).version
    snapshot_files.forget_erased(tmp_path)
    assert set(snapshot_files.newest_first(tmp_path)) == {first, second, third}, "they may have to serve once more"
    grow_old(tmp_path / FOLDER / name, 1.1 * KEPT_S)
    newest = third
    if by == "a tick":
        snapshot_files.forget_erased(tmp_path)
    else:
        newest = tmp_path / write(tmp_path, seed=3, answered=(name,)).version
    assert set(snapshot_files.newest_first(tmp_path)) == {third, newest}
    assert hiding.names(tmp_path) == {unanswered}, "with the plain id of the one that all have answered"


def test_snapshots_learned_from_an_erased_user_go_once_there_is_one_without_and_an_hour_is_over(tmp_path):
    first, second = (tmp_path / write(tmp_path, seed=seed).version for seed in (0, 1))
    hiding.add_user(tmp_path)
    (note,) = (tmp_path / FOLDER).iterdir()
    assert hiding.names(tmp_path) == frozenset(), "it hides no content"
    for path in (note, *(folder / snapshot_files.MANIFEST for folder in (first, second))):
        grow_old(path, 1.1 * KEPT_S)
    snapshot_files.forget_erased(tmp_path)
    assert set(snapshot_files.newest_first(tmp_path)) == {first, second}, "nothing else can serve"
    assert note.exists()
    third = tmp_path / write(tmp_path, seed=2).version
    assert snapshot_files.newest_first(tmp_path) == [third]
    assert not note.exists()
    fourth = tmp_path / write(tmp_path, seed=3).version
    assert set(snapshot_files.newest_first(tmp_path)) == {third, fourth}


def test_where_nothing_was_ever_written_there_is_nothing_to_forget(tmp_path):
    snapshot_files.forget_erased(tmp_path / "nowhere")
    add(tmp_path, "a", age=2 * KEPT_S)
    snapshot_files.forget_erased(tmp_path)
    assert len(hiding.names(tmp_path)) == 1


def test_where_the_list_cannot_be_read_nobody_takes_it_for_empty(tmp_path):
    (tmp_path / FOLDER).write_bytes(b"no folder")
    with pytest.raises(ErasuresUnreadable, match="Not a directory"):
        hiding.names(tmp_path)
    assert hiding.broken(tmp_path)
    hiding.repair(tmp_path)
    assert hiding.names(tmp_path) == frozenset()
    assert not hiding.broken(tmp_path)
    assert hiding.names(tmp_path / "nowhere") == frozenset()
