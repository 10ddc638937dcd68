"""Beyond a number of feeds in work, further ones are refused at once."""

import logging
import threading
import time

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils.log import log_response
from prometheus_client import REGISTRY
from rest_framework.test import APIClient

from events import api_keys, authentication
from events.errors import EXPECTED
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


def test_what_is_shed_is_counted_and_no_error_in_the_log(snapshot, settings, caplog):
    authentication.forget_keys()
    client = APIClient(headers={"Authorization": f"Bearer {api_keys.create_key('tests')[1]}"})
    settings.FEED_MAX_IN_WORK = 1
    before = REGISTRY.get_sample_value("recsys_feeds_shed_total")
    with load.in_work(), caplog.at_level(logging.INFO):
        assert client.get("/api/v1/feed", {"user_id": "mia"}).status_code == 503
    told = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "django.request"]
    assert told == [("INFO", "Service Unavailable: /api/v1/feed")]
    assert REGISTRY.get_sample_value("recsys_feeds_shed_total") == before + 1
    caplog.clear()
    with load.in_work(), caplog.at_level(logging.WARNING, logger="django.request"):
        client.get("/api/v1/feed", {"user_id": "mia"})
    assert not [record for record in caplog.records if record.name == "django.request"]


def test_other_refusals_keep_their_level(caplog):
    refused = RequestFactory().get("/api/v1/feed")
    with caplog.at_level(logging.INFO, logger="django.request"):
        log_response("%s", "away", response=HttpResponse(status=503), request=refused)
        refused.META[EXPECTED] = True
        log_response("%s", "shed", response=HttpResponse(status=503), request=refused)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "away"),
        ("INFO", "shed"),
    ]


def test_the_door_answers_503_with_retry_after_and_works_again_afterwards(
    snapshot, settings, django_assert_max_num_queries
):
    authentication.forget_keys()
    _, secret = api_keys.create_key("tests")
    client = APIClient(headers={"Authorization": f"Bearer {secret}"})
    settings.FEED_MAX_IN_WORK = 1
    # Of all the work only the key is looked up, and that it was used is noted.
    with load.in_work(), django_assert_max_num_queries(2):
        answer = client.get("/api/v1/feed", {"user_id": "mia"})
    assert answer.status_code == 503
    assert answer["Retry-After"] == "1"
    error = answer.json()["error"]
    told = {"limit": 1, "retry_after_s": 1, "request_id": answer["X-Request-ID"]}
    assert (error["code"], error["details"]) == ("overloaded", told)
    assert client.get("/api/v1/feed", {"user_id": "mia"}).status_code == 200
