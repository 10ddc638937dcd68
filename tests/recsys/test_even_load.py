"""Connections on a process that has too much to do are given back, as long as another process has less."""

import errno
import multiprocessing
import os
import subprocess
import sys
import time
from collections import Counter
from http.client import HTTPConnection
from pathlib import Path
from socket import socket

import numpy as np
import pytest

from recsys import even_load
from recsys.benchmarks.load import send_all
from recsys.even_load import EvenLoad, Table, evened


def headers_of(application):
    told = []
    answer = application({}, lambda status, headers, *_: told.append(headers))
    assert list(answer) == [b"done"]
    return told[0]


def inner(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]


CLOSES = ("Connection", "close")


@pytest.fixture
def tables(tmp_path):
    """What two processes of one server see; both are this one, which lives."""
    return Table(tmp_path / "busy"), Table(tmp_path / "busy")


def test_a_second_request_beside_an_idle_process_gives_its_connection_back(tables):
    mine, _ = tables
    application = EvenLoad(inner, mine)
    assert CLOSES not in headers_of(application)
    mine.add(1)
    assert headers_of(application) == [("Content-Type", "text/plain"), CLOSES]
    mine.add(-1)
    assert CLOSES not in headers_of(application), "what is over is not counted any more"


@pytest.mark.parametrize(("mine", "other", "crowded"), [
    (0, 0, False), (1, 0, False), (2, 0, True), (2, 1, False), (3, 1, False), (4, 1, True), (9, 7, False),
    (12, 4, True),
])  # fmt: skip
def test_nearly_even_is_even_enough(tables, mine, other, crowded):
    tables[0].add(mine)
    tables[1].add(other)
    assert tables[0].is_crowded() is crowded


def test_a_process_alone_keeps_every_connection(tmp_path):
    table = Table(tmp_path / "busy")
    table.add(16)
    assert not table.is_crowded()


def test_a_request_that_fails_is_over_too(tables):
    def failing(environ, start_response):
        raise RuntimeError("broken")

    application = EvenLoad(failing, tables[0])
    for _ in range(3):
        with pytest.raises(RuntimeError, match="broken"):
            application({}, lambda *_: None)
    assert not tables[0].is_crowded()


def test_a_dead_process_is_not_idle_and_its_row_goes_to_the_next(tmp_path):
    path = tmp_path / "busy"
    child = multiprocessing.get_context("fork").Process(target=lambda: Table(path))
    child.start()
    child.join()
    mine = Table(path)
    mine.add(5)
    assert not mine.is_crowded()
    rows = np.frombuffer(path.read_bytes(), np.int32).reshape(-1, 2)
    assert rows[0].tolist() == [os.getpid(), 5], "the row of the child, which is gone"


def test_without_room_for_a_table_it_answers_all_the_same(tmp_path, monkeypatch, caplog):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(even_load.os, "pwrite", full)
    assert evened(inner, tmp_path) is inner
    assert "No space left" in caplog.text


SERVED = """
import os, time
from pathlib import Path
from recsys.even_load import evened

def plain(environ, start_response):
    end = time.perf_counter() + 0.01
    while time.perf_counter() < end:
        pass
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

application = evened(plain, Path(__file__).parent)
"""


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served.py").write_text(SERVED)
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = [sys.executable, "-m", "granian", "--interface", "wsgi", "served:application", "--port", str(port)]
    line += ["--workers", "2", "--blocking-threads", "16", "--runtime-threads", "1", "--no-ws"]
    code = os.pathsep.join([str(tmp_path), str(Path(even_load.__file__).parents[1])])
    running = subprocess.Popen(line, cwd=tmp_path, env={**os.environ, "PYTHONPATH": code})
    try:
        wait_for(port)
        yield port
    finally:
        running.terminate()
        running.wait(20)


def wait_for(port):
    deadline = time.monotonic() + 120
    seen = set()
    while len(seen) < 2:
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/")
            seen.add(connection.getresponse().read())
            connection.close()
        except OSError:
            time.sleep(0.1)
        assert time.monotonic() < deadline, f"only {seen} answer"


def test_two_clients_end_up_on_two_processes_of_a_real_server(server):
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for _ in range(8):  # the kernel alone deals two clients to one process half of the time
        _, answers = send_all(server, [request] * 80, connections=2)
        by = Counter(answer.body for answer in answers[40:])
        assert len(by) == 2, "both were still on one process after 40 answers"
        assert min(by.values()) >= 10
