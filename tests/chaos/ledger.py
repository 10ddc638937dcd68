"""What a client was told of each of its events, and clients that go on sending through whatever happens.

A line is written after each answer: `<event id> <what became of it>`. An event without a line was never answered; it
may be stored or not. A batch that was not acknowledged is sent again until it is, as the host app would.
"""

import http.client
import json
import random
import threading
import time
import uuid
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.chaos.system import Answer, decoded

ACCEPTED, REFUSED = "accepted", "refused"
USERS, CONTENTS = 40, 20
BATCH, PAUSE_S, RETRY_S, LIMIT_S = 20, 0.2, 0.1, 60.0


@dataclass
class Ledger:
    """The lines of one test, what was sent at all, and answers that no client should get."""

    path: Path
    sent: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    lost_connections: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note_sent(self, events: list[dict[str, Any]]) -> None:
        with self._lock:
            self.sent.update(event["event_id"] for event in events)

    def note_answer(self, events: list[dict[str, Any]], answer: Answer) -> bool:
        """Judge and write down an answer; True where the batch is settled."""
        with self._lock:
            self.statuses[answer.status] += 1
            self.seconds.append(answer.seconds)
            body = answer.body
            if answer.status != 202:
                self._judge_refusal(answer)
                return False
            refused = {one["index"] for one in body["rejected"]}
            if body["accepted"] + body["duplicates"] + len(refused) != len(events):
                self.faults.append(f"verdicts do not add up: {body}")
            with self.path.open("a") as file:
                for index, event in enumerate(events):
                    file.write(f"{event['event_id']} {REFUSED if index in refused else ACCEPTED}\n")
            return True

    def _judge_refusal(self, answer: Answer) -> None:
        body = answer.body
        if not isinstance(body, dict) or set(body) != {"error"} or not {"code", "message"} <= set(body["error"]):
            self.faults.append(f"an error with a strange body: {answer}")
        if answer.status != 503 or not answer.headers.get("retry-after", "").isdecimal():
            self.faults.append(f"an error that no client should see: {answer}")

    def lose_connection(self) -> None:
        with self._lock:
            self.lost_connections += 1

    def lines(self) -> dict[str, str]:
        """The last word on each event that was answered."""
        text = self.path.read_text() if self.path.exists() else ""
        return dict(line.split() for line in text.splitlines())


class Client(threading.Thread):
    """Sends batches one after the other over a kept connection until told to stop; the last one is settled too."""

    def __init__(self, port: int, key: str, ledger: Ledger, stop: threading.Event, seed: int) -> None:
        super().__init__(daemon=True)
        self._address = port
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._ledger, self._stop_event = ledger, stop
        self._random = random.Random(seed)
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        while not self._stop_event.is_set():
            events = make_batch(self._random)
            self._ledger.note_sent(events)
            given_up_at = time.monotonic() + LIMIT_S
            while not self._send(events) and time.monotonic() < given_up_at:
                time.sleep(RETRY_S)  # what a client does between two tries
            self._stop_event.wait(PAUSE_S)
        self._close()

    def _send(self, events: list[dict[str, Any]]) -> bool:
        request = json.dumps({"events": events}).encode()
        started = time.monotonic()
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._address, timeout=LIMIT_S)
            self._connection.request("POST", "/api/v1/events", request, self._headers)
            response = self._connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            body = decoded(response.read())
        except (OSError, http.client.HTTPException):
            self._ledger.lose_connection()
            self._close()
            return False
        return self._ledger.note_answer(events, Answer(response.status, headers, body, time.monotonic() - started))

    def _close(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.close()
        self._connection = None


@contextmanager
def load(port: int, key: str, ledger: Ledger, *, clients: int):
    """Clients that send meanwhile; at the end every batch that they began is settled, or a minute has passed."""
    stop = threading.Event()
    threads = [Client(port, key, ledger, stop, seed) for seed in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(2 * LIMIT_S)
    assert not any(thread.is_alive() for thread in threads), "a client is still waiting for its answer"


def make_batch(rng: random.Random, size: int = BATCH, *, refused: int = 1) -> list[dict[str, Any]]:
    """Events of hours that are over, so that no derived row depends on when it is computed; some are no good."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    events = [make_event(rng, hour - timedelta(seconds=rng.randrange(1, 5 * 3600))) for _ in range(size)]
    for index in rng.sample(range(size), refused):
        events[index]["event_type"] = "wink"
    return events


def make_event(rng: random.Random, when: datetime) -> dict[str, Any]:
    """A view, like or impression of one of a few users and contents."""
    kind = rng.choice(["view", "like", "impression"])
    event = {
        "event_id": str(uuid.UUID(int=rng.getrandbits(64) << 64 | uuid.uuid4().int >> 64, version=4)),
        "event_type": kind,
        "user_id": f"u{rng.randrange(USERS)}",
        "content_id": f"c{rng.randrange(CONTENTS)}",
        "timestamp": when.isoformat(),
        "additional_info": {"device": rng.choice(["phone", "tablet"])},
    }
    return event | ({"watch_duration": rng.randrange(1, 30)} if kind == "view" else {})
