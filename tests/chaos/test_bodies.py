"""F16 and F17: batches that are bad in part, and requests that mean harm."""

import json
import random
import socket
import time
from contextlib import ExitStack, contextmanager

import pytest

from tests.chaos.checker import check
from tests.chaos.ledger import make_batch
from tests.chaos.system import forget_peak, memory_mb, processor_s
from tests.chaos.wire import MEGABYTE, bomb, head, packed, request, talk
from tests.events.conftest import make_event

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]
GROWTH_MB, PROCESSOR_S = 50.0, 1.0
# Fewer than the threads of one web worker, and more than those of all.
SLOW_CLIENTS, SLOW_STRANGERS = 12, 80
INVALID = {
    "unknown type": {"event_type": "wink"},
    "no user": {"user_id": None},
    "no id": {"event_id": "seven"},
    "ancient": {"timestamp": "1969-12-31T00:00:00Z"},
    "watched backwards": {"event_type": "view", "watch_duration": -4},
    "strange field": {"is_bot": True},
    "an id without end": {"content_id": "x" * 5_000},
}


def test_a_batch_that_is_bad_in_part_is_stored_in_part(system, ledger):
    events = make_batch(random.Random(16), size=500, refused=0)
    places = random.Random(1).sample(range(500), len(INVALID))
    for place, changes in zip(places, INVALID.values(), strict=True):
        events[place] = {k: v for k, v in (make_event() | changes).items() if v is not None}
    answer = system.call("POST", "/api/v1/events", {"events": events})
    assert ledger.note_answer(events, answer)
    assert answer.body["accepted"] == 493
    assert [one["index"] for one in answer.body["rejected"]] == sorted(places)
    assert all(one["code"] and one["detail"] for one in answer.body["rejected"])
    check(system, ledger, least=493)


def batch_with(raw: bytes) -> bytes:
    """A batch of a good event and what may be a bad one."""
    return b'{"events":[' + json.dumps(make_event()).encode() + b"," + raw + b"]}"


def spoilt(field: str, raw: bytes) -> bytes:
    """An event in which a field has been replaced by bytes."""
    event = {name: value for name, value in make_event().items() if name != field}
    return json.dumps(event).encode()[:-1] + b', "' + field.encode() + b'": ' + raw + b"}"


DEEP = b"[" * 100_000 + b"]" * 100_000
# What is wrong with one event costs that event; what makes the whole no JSON costs the batch.
EVIL_EVENTS = {
    "NUL": spoilt("content_id", rb'"a\u0000b"'),
    "10^30": spoilt("position", b"1" + b"0" * 30),
    "a float beyond all": spoilt("additional_info", b'{"a": 1e999}'),
    "5,000 digits": spoilt("position", b"9" * 5_000),
    "the same key twice": spoilt("event_type", b'"like", "event_type": 7'),
    "bad UTF-8": spoilt("content_id", b'"\xff\xfe"'),
    "a megabyte of text": spoilt("content_id", b'"' + b"x" * MEGABYTE + b'"'),
}
EVIL_BODIES = {
    "half a surrogate pair": batch_with(spoilt("user_id", rb'"\ud800"')),
    "NaN": batch_with(spoilt("position", b"NaN")),
    "100,000 deep": batch_with(spoilt("additional_info", DEEP)),
    "nothing but depth": DEEP,
    "a byte order mark": b"\xef\xbb\xbf" + batch_with(b"{}"),
    "cut off": batch_with(b"{}")[:-20],
    "nothing": b"",
    "9,999 events": b'{"events":[' + b",".join([b"{}"] * 9_999) + b"]}",
    "too large": b'{"events":["' + b"x" * (5 * MEGABYTE) + b'"]}',
}


@pytest.fixture
def frugal(system):
    """The web workers take little memory and processor time for what a test sends; the first requests warm them up."""
    for _ in range(8):
        assert system.call("POST", "/api/v1/events", {"events": [make_event()] * 200}).status == 202
    workers = system.web_workers()
    for pid in workers:
        forget_peak(pid)
    memory = {pid: memory_mb(pid) for pid in workers}
    yield lambda: sum(processor_s(pid) for pid in workers)
    growth = {pid: memory_mb(pid, "VmHWM") - memory[pid] for pid in workers}
    assert max(growth.values()) < GROWTH_MB, growth
    assert system.web_workers() == workers


def is_json(answer):
    return set(answer.body) == {"error"} and "json" in answer.headers["content-type"]


def is_refused(answer):
    """Whether the answer blames the sender, in JSON."""
    return 400 <= answer.status < 500 and is_json(answer)


def test_evil_events_cost_only_themselves(system, frugal):
    for name, evil in EVIL_EVENTS.items():
        before = frugal()
        answer = talk(system, [request(system, batch_with(evil))])
        assert answer is not None, name
        assert answer.status == 202, (name, answer)
        assert (answer.body["accepted"], [one["index"] for one in answer.body["rejected"]]) == (1, [1]), name
        assert frugal() - before < PROCESSOR_S, name


def test_evil_bodies_are_refused_cheaply(system, frugal):
    for name, evil in EVIL_BODIES.items():
        before = frugal()
        answer = talk(system, [request(system, evil)])
        assert answer is not None, name
        assert is_refused(answer), (name, answer)
        assert frugal() - before < PROCESSOR_S, name


def test_a_gzip_bomb_is_not_unpacked(system, frugal):
    evil = bomb()
    assert len(evil) == pytest.approx(MEGABYTE, rel=0.1)
    for _ in range(4):
        before = frugal()
        answer = talk(system, [request(system, evil, "Content-Encoding: gzip")])
        assert answer is not None
        assert (answer.status, is_refused(answer)) == (413, True)
        assert frugal() - before < PROCESSOR_S
    cut = packed(batch_with(b"{}"))[:-12]
    answer = talk(system, [request(system, cut, "Content-Encoding: gzip")])
    assert answer is not None
    assert is_refused(answer)


@pytest.mark.parametrize("stated", [-30, 30, 5_000_000_000])
def test_a_wrong_length_is_refused_or_the_line_is_cut(system, frugal, stated):
    body = batch_with(b"{}")
    length = stated if stated > MEGABYTE else len(body) + stated
    before = frugal()
    answer = talk(system, [head(system, f"Content-Length: {length}"), body], hang_up=True)
    # What is too long for the web server is not even read; what ends early is refused, although its JSON is whole.
    assert answer is None or (400 <= answer.status < 500 and is_json(answer)), answer
    assert frugal() - before < PROCESSOR_S


def test_clients_that_never_finish_keep_nobody_out(system, frugal):
    with slow_clients(system, SLOW_CLIENTS) as lines:
        for _ in range(10):
            for line in lines[::2]:
                line.sendall(b" ")
            served_within(system, seconds=10)
        # A body whose length nobody states is not waited for.
        answers = [line.recv(65_536) for line in lines[1::2]]
    assert all(answer.startswith(b"HTTP/1.1 411 ") for answer in answers)
    assert all(b'"length_required"' in answer for answer in answers)
    served_within(system, seconds=10)


def test_strangers_that_never_finish_are_refused_before_their_body(system, frugal):
    with slow_clients(system, SLOW_STRANGERS, key="sk_none") as lines:
        served_within(system, seconds=10)
        statuses = {line.recv(65_536).split(b" ", 2)[1] for line in lines}
    # Too many wrong keys from one address, and the rest are not even looked at.
    assert statuses <= {b"401", b"429"}
    assert b"401" in statuses


@contextmanager
def slow_clients(system, count, **options):
    """Connections whose requests have begun, half of them in chunks, and do not go on."""
    with ExitStack() as opened:
        lines = [opened.enter_context(socket.create_connection(("127.0.0.1", system.port), 30)) for _ in range(count)]
        for number, line in enumerate(lines):
            if number % 2:
                line.sendall(head(system, "Transfer-Encoding: chunked", **options) + b'5\r\n{"eve\r\n')
            else:
                line.sendall(head(system, "Content-Length: 1000", **options) + b'{"eve')
        yield lines


def served_within(system, seconds):
    started = time.monotonic()
    assert system.call("GET", "/livez").status == 200
    assert system.call("POST", "/api/v1/events", {"events": [make_event()]}).status == 202
    assert time.monotonic() - started < seconds, "slow clients keep others out"
