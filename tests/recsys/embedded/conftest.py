"""Folders for servers of their own, never the ones that the other tests run on."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from recsys.embedded.postgres import Postgres


@pytest.fixture(params=["open to all", "below a closed folder"])
def var_dir(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A var folder that everybody can reach, and one that only its owner can, like a project below /root."""
    with _folder(0o755 if request.param == "open to all" else 0o700) as folder:
        yield folder


@pytest.fixture
def one_var_dir() -> Iterator[Path]:
    with _folder(0o755) as folder:
        yield folder


@pytest.fixture(scope="session")
def _made_once() -> Iterator[Path]:
    with _folder(0o755) as folder:
        server = Postgres(folder, throwaway=True)
        server.start()
        server.stop()
        yield folder


@pytest.fixture
def made_var_dir(_made_once: Path) -> Iterator[Path]:
    """A var folder whose PostgreSQL had its first start already, which is most of the time such a test would take."""
    with _folder(0o755) as folder:
        subprocess.run(["cp", "-a", f"{_made_once}/.", str(folder)], check=True)
        yield folder


class _folder:  # noqa: N801  reads as a function
    def __init__(self, mode: int) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="recsys-test-"))
        self.root.chmod(mode)

    def __enter__(self) -> Path:
        var = self.root / "project" / "var"
        var.mkdir(parents=True)
        return var

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.root, ignore_errors=True)


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Wait until a condition holds, at most ten seconds."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "it did not happen within ten seconds"
            time.sleep(0.05)

    return wait


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that ended and was not collected yet does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def stranger_at(port: int) -> socket.socket:
    """A program that holds the port and says nothing, until the returned socket is closed."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", port))
    return holder
