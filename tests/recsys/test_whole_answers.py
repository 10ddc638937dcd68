"""What lies in memory is handed over in one piece, and the request ends with it; streams go on as they are."""

import pytest
from django.core.signals import request_finished
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

from recsys.application import around
from recsys.whole_answers import whole_answers


def environ(path="/livez"):
    return RequestFactory().get(path, headers={"host": "localhost"}).environ


def start_response(*_):
    return lambda _: None


def answering(response):
    return whole_answers(lambda *_: response)(environ(), start_response)


@pytest.fixture
def finished():
    heard = []

    def hear(**_):
        heard.append(True)

    # Django's own receivers close connections, which a test's transaction needs.
    kept, request_finished.receivers = request_finished.receivers, []
    request_finished.connect(hear)
    yield heard
    request_finished.receivers = kept


def test_an_answer_is_one_piece_and_the_request_is_over(finished):
    assert answering(HttpResponse([b"one", b" and two"])) == [b"one and two"]
    assert finished == [True]


@pytest.mark.parametrize("made", [StreamingHttpResponse, FileResponse])
def test_a_stream_is_left_alone(made, finished):
    stream = made(iter([b"one", b"two"]))
    assert answering(stream) is stream
    assert finished == []


def test_what_is_no_answer_of_django_is_left_alone():
    assert answering([b"x", b"y"]) == [b"x", b"y"]


@pytest.mark.django_db  # an older connection may be looked after as a request begins
def test_the_whole_application_answers_in_one_piece(finished):
    answer = around(get_wsgi_application())(environ(), start_response)
    assert isinstance(answer, list)
    assert len(answer) == 1
    assert finished == [True]
