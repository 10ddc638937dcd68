"""Beyond a number of feeds in work, further ones are refused at once."""

import contextlib
import threading
import time

import pytest
from rest_framework.test import APIClient

from events import api_keys, authentication
from ranking import load
from ranking.load import Gate, Lane, Overloaded


def test_as_many_as_allowed_are_inside_and_who_leaves_makes_room():
    gate = Gate()
    with gate.entered(2):
        with gate.entered(2), pytest.raises(Overloaded, match="2 feeds"), gate.entered(2):
            pass
        with gate.entered(2):
            pass


def test_who_fails_inside_makes_room_too():
    gate = Gate()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), gate.entered(1):
            raise ZeroDivisionError


def test_no_more_than_allowed_are_ever_inside():
    gate, most, inside, refused = Gate(), [0], [0], [0]
    lock = threading.Lock()

    def enter() -> None:
        try:
            with gate.entered(3):
                with lock:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                time.sleep(0.02)
                with lock:
                    inside[0] -= 1
        except Overloaded:
            with lock:
                refused[0] += 1

    threads = [threading.Thread(target=enter) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 3
    assert refused[0] >= 1


class Crowd:
    """Threads that go through a lane, one started after the other is waiting; `order` is who was let in when."""

    def __init__(self, lane: Lane, width: int) -> None:
        self.lane, self.width = lane, width
        self.order: list[int] = []
        self.most = self.inside = 0
        self.lock = threading.Lock()
        self.threads: list[threading.Thread] = []

    def join_in(self, number: int) -> None:
        thread = threading.Thread(target=self.go, args=(number,))
        self.threads.append(thread)
        thread.start()

    def go(self, number: int) -> None:
        with self.lane.through(self.width):
            with self.lock:
                self.order.append(number)
                self.inside += 1
                self.most = max(self.most, self.inside)
            time.sleep(0.005)
            with self.lock:
                self.inside -= 1

    def finish(self) -> None:
        for thread in self.threads:
            thread.join()


@pytest.mark.parametrize("width", [1, 3])
def test_a_lane_is_as_wide_as_it_says_and_one_behind_the_other_keeps_the_order(width):
    lane = Lane()
    crowd = Crowd(lane, width)
    with contextlib.ExitStack() as stack:
        for _ in range(width):
            stack.enter_context(lane.through(width))
        for number in range(12):
            crowd.join_in(number)
            while len(lane._waiting) <= number:
                time.sleep(0.001)
        assert crowd.order == []
    crowd.finish()
    assert sorted(crowd.order) == list(range(12))
    assert crowd.most <= width
    if width == 1:
        assert crowd.order == list(range(12))


def test_who_fails_in_a_lane_hands_over_too():
    lane = Lane()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), lane.through(1):
            raise ZeroDivisionError
    with lane.through(1):
        pass


def test_who_waits_too_long_is_refused_and_takes_nobodys_place(monkeypatch):
    monkeypatch.setattr(load, "PATIENCE_S", 0.01)
    lane = Lane()
    with lane.through(1), pytest.raises(Overloaded), lane.through(1):
        pass
    with lane.through(1):
        pass


def test_the_door_answers_503_with_retry_after_and_works_again_afterwards(snapshot, settings):
    authentication.forget_keys()
    _, secret = api_keys.create_key("tests")
    client = APIClient(headers={"Authorization": f"Bearer {secret}"})
    settings.FEED_MAX_IN_WORK = 1
    with load.in_work():
        started = time.perf_counter()
        answer = client.get("/api/v1/feed", {"user_id": "mia"})
        assert time.perf_counter() - started < 0.5
    assert answer.status_code == 503
    assert answer["Retry-After"] == "1"
    error = answer.json()["error"]
    assert (error["code"], error["details"]) == ("overloaded", {"limit": 1, "retry_after_s": 1})
    assert client.get("/api/v1/feed", {"user_id": "mia"}).status_code == 200
