"""Beyond a number of feeds in work, further ones are refused at once."""

import threading
import time

import pytest
from rest_framework.test import APIClient

from events import api_keys, authentication
from ranking import load
from ranking.load import Gate, Overloaded


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
