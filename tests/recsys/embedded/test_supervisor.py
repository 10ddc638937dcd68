"""The supervisor, over real child processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.embedded import supervisor
from recsys.embedded.supervisor import Child, ChildGaveUp, Supervisor
from tests.recsys.embedded.conftest import is_alive

Eventually = Callable[[Callable[[], bool]], None]


class Screen:
    """What the supervisor showed."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, name: str, line: str) -> None:
        self.lines.append((name, line))

    def of(self, name: str) -> list[str]:
        return [line for shown, line in self.lines if shown == name]


def shell(name: str, script: str, **options: object) -> Child:
    environ = {"PATH": os.defpath}
    return Child(name=name, command=["/bin/sh", "-c", script], environ=environ, folder=Path("/"), **options)


def step_until(one: Supervisor, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within ten seconds"
        one.step(0.05)


@pytest.fixture
def screen() -> Screen:
    return Screen()


def test_every_line_is_shown_whole_and_under_its_name(screen: Screen):
    own = Supervisor(
        [shell("a", "printf 'one\\ntw'; sleep 0.2; echo o; sleep 60"), shell("b", "echo err >&2; sleep 60")],
        emit=screen,
    )
    step_until(own, lambda: len(screen.lines) == 3)
    own.stop()
    assert screen.of("a") == ["one", "two"]
    assert screen.of("b") == ["err"]


def test_many_last_words_are_not_lost(screen: Screen):
    own = Supervisor(
        [shell("a", "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done; printf end")], emit=screen
    )
    step_until(own, lambda: any("ended with exit code 0" in line for line in screen.of("a")))
    own.stop()
    assert screen.of("a")[:5001] == [f"line {i}" for i in range(5000)] + ["end"]


def test_bytes_that_are_no_text_do_no_harm(screen: Screen):
    own = Supervisor([shell("a", "printf '\\377\\n'; sleep 60")], emit=screen)
    step_until(own, lambda: bool(screen.lines))
    own.stop()
    assert screen.of("a") == ["\N{REPLACEMENT CHARACTER}"]


def test_a_child_that_dies_starts_again(screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(supervisor, "FIRST_BACKOFF_S", 0.01)
    marks = tmp_path / "lives"
    own = Supervisor([shell("a", f"echo life >> {marks}; sleep 60")], emit=screen)
    step_until(own, marks.exists)
    os.kill(own.pids()["a"], signal.SIGKILL)
    step_until(own, lambda: marks.read_text() == "life\nlife\n")
    own.stop()
    assert screen.of("a")[0] == "was killed by signal 9; it starts again in 0.01 s"


def test_pauses_between_lives_double_and_then_it_gives_up(screen: Screen, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(supervisor, "FIRST_BACKOFF_S", 0.01)
    own = Supervisor([shell("a", "echo no table named so; exit 3")], emit=screen)
    with pytest.raises(ChildGaveUp) as caught:
        step_until(own, lambda: False)
    own.stop()
    assert str(caught.value).startswith("The a process ended with exit code 3, 6 times within 60 s. Its last lines:")
    assert "no table named so" in str(caught.value)
    pauses = [line.rsplit(" ", 2)[1] for line in screen.of("a") if "starts again" in line]
    assert pauses == ["0.01", "0.02", "0.04", "0.08", "0.16"]


def test_what_a_dead_child_left_behind_is_ended(screen: Screen, eventually: Eventually):
    own = Supervisor([shell("a", "sleep 61 & echo $!; wait")], emit=screen)
    step_until(own, lambda: bool(screen.lines))
    left = int(screen.of("a")[0])
    os.kill(own.pids()["a"], signal.SIGKILL)
    step_until(own, lambda: len(screen.lines) > 1)
    eventually(lambda: not is_alive(left))
    own.stop()


def test_children_stop_in_the_reverse_order(screen: Screen):
    script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    own = Supervisor([shell("a", script), shell("b", script)], emit=screen)
    step_until(own, lambda: len(screen.lines) == 2)
    own.stop()
    assert screen.lines[2:] == [("b", "bye"), ("a", "bye")]
    assert own.pids() == {}


def test_a_child_that_will_not_stop_is_killed_after_its_grace(screen: Screen, eventually: Eventually):
    own = Supervisor([shell("a", "trap '' TERM; sleep 61 & echo $!; wait; wait", grace_s=0.3)], emit=screen)
    step_until(own, lambda: bool(screen.lines))
    leader, left = own.pids()["a"], int(screen.of("a")[0])
    began = time.monotonic()
    own.stop()
    assert 0.3 <= time.monotonic() - began < 5
    eventually(lambda: not is_alive(leader) and not is_alive(left))
    assert "did not end within 0 s and is killed" in screen.of("a")


def test_something_can_be_prepared_before_every_life(screen: Screen, tmp_path: Path):
    folder = tmp_path / "metrics"
    own = Supervisor([shell("a", f"ls -d {folder}; sleep 60", before_start=folder.mkdir)], emit=screen)
    step_until(own, lambda: bool(screen.lines))
    own.stop()
    assert screen.of("a") == [str(folder)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is gone")
def test_children_end_when_the_supervisor_is_killed(eventually: Eventually):
    script = """
from pathlib import Path
from recsys.embedded.supervisor import Child, Supervisor
child = Child(name="a", command=["/bin/sh", "-c", "echo $$; exec sleep 61"], environ={}, folder=Path("/"))
own = Supervisor([child], emit=lambda name, line: print(line, flush=True))
while True:
    own.step(0.1)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert is_alive(pid)
        process.kill()
    eventually(lambda: not is_alive(pid))
