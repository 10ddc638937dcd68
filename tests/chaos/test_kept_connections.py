"""A refusal costs a client its request, and never the next one: either the connection stays or the answer ends it."""

import http.client
import json
import time

import pytest

from tests.chaos.system import eventually
from tests.chaos.wire import MEGABYTE, head
from tests.events.conftest import make_event

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]
EVENTS = "/api/v1/events"
TIMES = 100
# A batch of a usual size, and one of several packets.
SIZES = [1, 400]


def exchanges(system, headers, body):
    """Send a request many times as a plain client does; the statuses, how often it had to connect, and what failed."""
    line = http.client.HTTPConnection("127.0.0.1", system.port, timeout=30)
    statuses, opened, failed = set(), 0, []
    for _ in range(TIMES):
        opened += line.sock is None
        try:
            line.request("POST", EVENTS, body, {"Content-Type": "application/json", **headers})
            answer = line.getresponse()
            statuses.add(answer.status)
            assert "error" in json.loads(answer.read()) or answer.status == 202
        except (OSError, http.client.HTTPException) as error:
            failed.append(repr(error))
            line.close()
    line.close()
    return statuses, opened, failed


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["no key", "a guess", "text", "packed otherwise"])
def test_no_request_fails_after_a_refusal(system, kind, size):
    body = json.dumps({"events": [make_event() for _ in range(size)]}).encode()
    key = {"Authorization": f"Bearer {system.key}"}
    headers, expected = {
        "no key": ({}, {401}),
        # From one address, the sixty-first is one too many.
        "a guess": ({"Authorization": "Bearer sk_none"}, {401, 429}),
        "text": (key | {"Content-Type": "text/plain"}, {415}),
        "packed otherwise": (key | {"Content-Encoding": "br"}, {415}),
    }[kind]
    statuses, opened, failed = exchanges(system, headers, body)
    assert not failed
    assert statuses <= expected
    # Whose key holds keeps its connection; a stranger is told each time that it ends.
    assert opened == (1 if expected == {415} else TIMES)


def test_a_body_that_is_not_waited_for_ends_the_connection_and_the_answer_says_so(system):
    line = http.client.HTTPConnection("127.0.0.1", system.port, timeout=30)
    line.connect()
    started = time.monotonic()
    line.sock.sendall(head(system, f"Content-Length: {5 * MEGABYTE}", key="sk_none"))
    answer = http.client.HTTPResponse(line.sock)
    answer.begin()
    assert answer.status in {401, 429}
    assert answer.headers["Connection"] == "close"
    assert time.monotonic() - started < 10
    line.close()
    # Nobody is kept out by those who never finish.
    eventually(lambda: system.call("GET", "/livez").status == 200, limit_s=10)
