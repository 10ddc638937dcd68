"""The quick door and Django's own say and count the same, whatever is sent; only what is accepted is answered early."""

import gzip
import io
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import OperationalError, close_old_connections
from django.utils import timezone
from prometheus_client import REGISTRY

from events import api_keys, authentication, client_tokens, intake, throttling
from events.models import DeadLetter, Event, EventId
from recsys.events_door import EventsDoor
from tests.events.conftest import make_event

pytestmark = pytest.mark.django_db
PAGE = "https://app.example.com"
JSON = "application/json"
EVENT = make_event(event_id="3b241101-e2bb-4255-8caf-4136c566a962", timestamp=timezone.now().isoformat())
ONE = json.dumps({"events": [EVENT]}).encode()
KINDS = {"server": {}, "lesser": {"scopes": ["feed:read"]}, "page": {"kind": "publishable", "origins": [PAGE]}}


@dataclass
class Case:
    """One request: whose credential it carries, its body, and what differs from a plain one; `early` where it is."""

    name: str
    body: bytes = ONE
    caller: str | None = "server"
    early: bool = False
    environ: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


class Broken(io.BytesIO):
    """The body of a client that went away."""

    def read(self, size=-1, /):
        raise ConnectionResetError(f"the client sent fewer than {size} bytes")


def batch(*events, **fields):
    return json.dumps({"events": events, **fields}).encode()


ANONYMOUS = batch({**EVENT, "user_id": f"anon:{'7' * 20}"})
CASES = [
    Case("one event", early=True),
    Case("a charset", early=True, environ={"CONTENT_TYPE": "application/json; charset=UTF-8"}),
    Case("any answer", early=True, environ={"HTTP_ACCEPT": "*/*"}),
    Case("some refused", batch(EVENT, 7, {**EVENT, "event_type": "\u2028<é>"}), early=True),
    Case("none but refused", batch({}, "x"), early=True),
    Case("packed", gzip.compress(ONE), early=True, environ={"HTTP_CONTENT_ENCODING": "gzip"}),
    Case("a user", batch({**EVENT, "user_id": None}), caller="user", early=True),
    Case("a page", ANONYMOUS, caller="page", early=True, environ={"HTTP_ORIGIN": PAGE}),
    Case("a page by the settings", early=True, environ={"HTTP_ORIGIN": PAGE}, settings={"CORS_ORIGINS": {PAGE}}),
    Case("another page", early=True, environ={"HTTP_ORIGIN": "https://evil.example"}),
    Case("a robot", batch({**EVENT, "user_id": "u7"}), "user", early=True, environ={"HTTP_USER_AGENT": "Googlebot"}),
    Case("a backfill", batch(EVENT, historical=True), early=True),
    Case("over https", early=True, environ={"wsgi.url_scheme": "https"}, settings={"SECURE_HSTS_SECONDS": 60}),
    Case("no credential", caller=None),
    Case("a wrong key", environ={"HTTP_AUTHORIZATION": "Bearer sk_wrong"}),
    Case("a wrong token", environ={"HTTP_AUTHORIZATION": "Bearer x.y.z"}),
    Case("another scheme", environ={"HTTP_AUTHORIZATION": "Basic YTpi"}),
    Case("a key without the scope", caller="lesser"),
    Case("a page's key on another page", ANONYMOUS, caller="page", environ={"HTTP_ORIGIN": "https://evil.example"}),
    Case("a page's key for a named user", caller="page", environ={"HTTP_ORIGIN": PAGE}),
    Case("another user", caller="user", body=batch({**EVENT, "user_id": "u8"})),
    Case("a user's backfill", batch(EVENT, historical=True), caller="user"),
    Case("no JSON", b"{"),
    Case("another shape", b'{"events": {}}'),
    Case("an unknown field", batch(EVENT, sentAt="2026-11-23T12:00:00Z")),
    Case("a NUL", b'{"events": [\x00]}'),
    Case("no text", b"\xff\xfe"),
    Case("deep", b'{"events": ' + b"[" * 100_000),
    Case("no events", batch()),
    Case("too many events", batch(*[{}] * 1001)),
    Case("no body", b""),
    Case("no length", environ={"CONTENT_LENGTH": None}),
    Case("in chunks", environ={"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"}),
    Case("a stranger's chunks", caller=None, environ={"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"}),
    Case("no number for a length", environ={"CONTENT_LENGTH": "many"}),
    Case("a length of zero", environ={"CONTENT_LENGTH": "00"}),
    Case("cut off", ONE[:-9], environ={"CONTENT_LENGTH": str(len(ONE))}),
    Case("a line that broke", environ={"wsgi.input": Broken()}),
    Case("too large", settings={"DATA_UPLOAD_MAX_MEMORY_SIZE": 100}),
    Case("a bomb", gzip.compress(bytes(5 << 20)), environ={"HTTP_CONTENT_ENCODING": "gzip"}),
    Case("no gzip", environ={"HTTP_CONTENT_ENCODING": "gzip"}),
    Case("another packing", environ={"HTTP_CONTENT_ENCODING": "br"}),
    Case("text", environ={"CONTENT_TYPE": "text/plain"}),
    Case("no type", environ={"CONTENT_TYPE": ""}),
    Case("another answer", environ={"HTTP_ACCEPT": "text/html"}),
    Case("a format", environ={"QUERY_STRING": "format=json"}),
    Case("an unknown format", environ={"QUERY_STRING": "format=xml"}),
    Case("reading", environ={"REQUEST_METHOD": "GET"}),
    Case("putting", environ={"REQUEST_METHOD": "PUT"}),
    Case("a preflight", environ={"REQUEST_METHOD": "OPTIONS", "HTTP_ORIGIN": PAGE,
                                 "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST"}, settings={"CORS_ORIGINS": {PAGE}}),
    Case("a longer path", environ={"PATH_INFO": "/api/v1/events/"}),
    Case("another path", environ={"PATH_INFO": "/api/v1/eventually"}),
    Case("another host", environ={"HTTP_HOST": "evil.example"}),
    Case("not over https", settings={"SECURE_SSL_REDIRECT": True}),
    Case("an empty bucket", batch({**EVENT, "user_id": None}), caller="somebody",
         settings={"RATE_LIMITS": {"user": (0.001, 0), "address": (1e3, 1000)}}),
]  # fmt: skip


@pytest.fixture(autouse=True)
def one_connection():
    """Requests share the connection of the test's transaction, which the end of a request would close."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def secrets():
    """A credential by the name of whoever has it; somebody is a new user every time, whose bucket is untouched."""
    made = {name: api_keys.create_key(name, **rights)[1] for name, rights in KINDS.items()}

    def secret(caller):
        user_id = {"user": "u7", "somebody": uuid.uuid4().hex}.get(caller)
        return client_tokens.mint(user_id, now=timezone.now())[0] if user_id else made[caller]

    return secret


class Answer:
    """What a door said and counted, and whether Django was asked."""

    def __init__(self, door, environ):
        # Made anew each time: middleware reads its settings when it is made.
        before, self.asked, handler = counted(), [], get_wsgi_application()

        def django(environ, start_response):
            self.asked.append(environ["PATH_INFO"])
            return handler(environ, start_response)

        response = door(django)(environ, self._start)
        self.body = b"".join(response)
        response.close()
        self.counts = {name: value - before.get(name, 0.0) for name, value in counted().items()}
        self.counts = {name: value for name, value in self.counts.items() if value}

    def _start(self, status, headers, exc_info=None):
        self.status, self.headers = status, sorted(headers)


DOORS = {"quick": EventsDoor, "django": lambda django: django}


def counted():
    """Every counter of requests and events; of times, how many were observed. No answer of the API has a template."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for metric in REGISTRY.collect()
        if metric.name.startswith(("django_http", "recsys_"))
        for sample in metric.samples
        if not sample.name.endswith(("_created", "_bucket", "_by_templatename_total"))
        and not (sample.name.endswith("_sum") and "bytes" not in sample.name)
    }


def environ_of(case, secret):
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/v1/events",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "CONTENT_TYPE": JSON,
        "CONTENT_LENGTH": str(len(case.body)),
        "wsgi.url_scheme": "http",
        # Each request would get an id of its own; a caller's is kept by both doors.
        "HTTP_X_REQUEST_ID": "both-doors-0001",
        "wsgi.input": io.BytesIO(case.body),
        "wsgi.errors": io.StringIO(),
        **({"HTTP_AUTHORIZATION": f"Bearer {secret(case.caller)}"} if case.caller else {}),
        **case.environ,
    }
    return {name: value for name, value in environ.items() if value is not None}


def ask(case, secret):
    answers = {}
    for name, door in DOORS.items():
        for table in (Event, EventId, DeadLetter):
            table.objects.all().delete()
        throttling.forget()
        authentication.forget_keys()
        answers[name] = Answer(door, environ_of(case, secret))
    return answers["quick"], answers["django"]


def assert_alike(quick, django):
    assert (quick.status, json_or_text(quick.body)) == (django.status, json_or_text(django.body))
    assert quick.body == django.body
    assert quick.headers == django.headers
    assert quick.counts == django.counts


def json_or_text(body):
    return json.loads(body) if body.startswith(b"{") else body


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_doors_answer_and_count_alike(case, secrets, settings):
    for name, value in case.settings.items():
        setattr(settings, name, value)
    quick, django = ask(case, secrets)
    assert_alike(quick, django)
    assert quick.asked == ([] if case.early else [environ_of(case, secrets)["PATH_INFO"]])
    assert (quick.status == "202 Accepted") == (case.early or case.name == "a format")


@pytest.mark.parametrize(
    ("error", "status"),
    [(OperationalError("away"), "503 Service Unavailable"), (KeyError("a bug"), "500 Internal Server Error")],
)
def test_what_goes_wrong_while_storing_happens_once_and_is_told_by_the_view(secrets, monkeypatch, error, status):
    tried = []

    def fail(*args, **options):
        tried.append(args)
        raise error

    monkeypatch.setattr(intake, "ingest", fail)
    quick, django = ask(CASES[0], secrets)
    assert len(tried) == 2
    assert quick.status == status
    assert_alike(quick, django)


def test_a_client_cannot_put_words_into_the_view(secrets):
    case = Case("forged", environ={"HTTP_RECSYS.REFUSAL": "x", "HTTP_RECSYS_REFUSAL": "x"}, early=True)
    quick, django = ask(case, secrets)
    assert_alike(quick, django)
    assert json.loads(quick.body)["accepted"] == 1


def test_what_a_middleware_of_the_door_raises_is_told_by_django(secrets, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.recsys.test_events_door.failing"]
    answer = Answer(EventsDoor, environ_of(CASES[0], secrets))
    assert answer.status == "500 Internal Server Error"
    assert json.loads(answer.body)["error"]["code"] == "internal_error"
    assert Event.objects.count() == 1


def failing(get_response):
    """Middleware that fails after the batch was stored."""

    def fail(request):
        get_response(request)
        raise KeyError(request.path)

    return fail
