"""Clients that ask for feeds through whatever happens, and what they were answered."""

import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.chaos.system import System

RETRY_S = 0.1


@dataclass
class Answers:
    """What all clients got: statuses, levels and model versions; `faults` are answers that no client should see."""

    statuses: Counter[int] = field(default_factory=Counter)
    levels: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    lost_connections: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, system: System, user: str) -> str | None:
        """Ask for one page; the version that made it, None where the connection was lost."""
        try:
            answer = system.call("GET", f"/api/v1/feed?user_id={user}&limit=3")
        except OSError:
            with self._lock:
                self.lost_connections += 1
            return None
        with self._lock:
            self.statuses[answer.status] += 1
            if answer.status != 200 or not answer.body["items"]:
                self.faults.append(f"{answer.status}: {str(answer.body)[:300]}")
                return None
            self.levels[answer.body["fallback_level"]] += 1
            self.versions[answer.body["model_version"]] += 1
            return str(answer.body["model_version"])


@contextmanager
def asking(system: System, *, clients: int = 4):
    """Feeds of always new users meanwhile."""
    answers, stop = Answers(), threading.Event()

    def run(number: int) -> None:
        asked = 0
        while not stop.is_set():
            asked += 1
            if answers.ask(system, f"asker-{number}-{asked}") is None:
                time.sleep(RETRY_S)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join(90)
    assert not any(thread.is_alive() for thread in threads), "a client is still waiting for its feed"


def serving(system: System, *, pages: int = 40) -> set[str]:
    """The versions that answer at this moment, over connections of their own."""
    answers = Answers()
    found = {answers.ask(system, f"probe-{time.monotonic_ns()}-{number}") for number in range(pages)}
    return {each for each in found if each is not None}
