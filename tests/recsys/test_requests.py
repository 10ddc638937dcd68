"""Every answer names its request, failures in their body too, and the log has the same name."""

import json
import logging

import pytest
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse

from recsys.application import around
from recsys.logs import REQUEST_ID
from recsys.requests import HEADER, RequestIds

pytestmark = pytest.mark.django_db


def test_every_answer_has_an_id_of_its_own(client):
    names = {client.get(path)[HEADER] for path in ("/livez", "/livez", "/nowhere", "/api/v1/nowhere")}
    assert len(names) == 4
    assert all(len(name) == 32 for name in names)


@pytest.mark.parametrize(
    "given", ["short", "x" * 65, "with space inside", "line\nbreak-in-it", "-starts-wrong", "é" * 10]
)
def test_only_what_is_an_id_is_taken_from_the_caller(client, given):
    assert client.get("/livez", headers={HEADER: "caller-0001.a_B"})[HEADER] == "caller-0001.a_B"
    assert client.get("/livez", headers={HEADER: given})[HEADER] != given


def test_a_failure_names_its_request_in_the_body_and_the_log_does_too(rf, settings, caplog):
    settings.LOG_REQUESTS = True

    seen = []
    handler = logging.Handler()
    handler.emit = lambda record: seen.append((record.getMessage(), REQUEST_ID.get()))
    for name in ("test", "recsys.requests"):
        logging.getLogger(name).addHandler(handler)
    try:
        answer = RequestIds(lambda request: (logging.getLogger("test").warning("inside"), failure())[1])(
            rf.get("/api/v1/feed?user_id=u-secret", headers={HEADER: "caller-0001"})
        )
    finally:
        for name in ("test", "recsys.requests"):
            logging.getLogger(name).removeHandler(handler)
    assert json.loads(answer.content)["error"]["details"] == {"kept": 1, "request_id": "caller-0001"}
    assert {name for _, name in seen} == {"caller-0001"}
    assert seen[-1][0] == "GET /api/v1/feed 500"
    assert REQUEST_ID.get() == ""


def failure():
    return JsonResponse({"error": {"code": "internal_error", "message": "wrong", "details": {"kept": 1}}}, status=500)


@pytest.mark.parametrize(
    "answer",
    [
        lambda: HttpResponse(b"<p>wrong</p>", status=500),
        lambda: JsonResponse({"status": "unavailable"}, status=503),
        lambda: JsonResponse(["wrong"], safe=False, status=500),
        lambda: JsonResponse({"error": {"code": "x", "message": "y", "details": {}}}, status=400),
    ],
)
def test_other_answers_keep_their_body(rf, answer):
    assert RequestIds(lambda request: answer())(rf.get("/")).content == answer().content
    streamed = StreamingHttpResponse([b"a"], status=500, content_type="application/json")
    assert b"".join(RequestIds(lambda request: streamed)(rf.get("/")).streaming_content) == b"a"


def test_both_doors_of_the_events_give_the_same_request_one_id(rf):
    """What the quick door refuses goes on to Django with the id it has."""
    environ = rf.post("/api/v1/events", b"{}", content_type="application/json").environ
    named = []

    def django(given, start):
        named.append(given.get("recsys.request_id"))
        start("401 no", [])
        return [b""]

    around(django)(environ, lambda status, headers, fault=None: None)
    assert named[0]
