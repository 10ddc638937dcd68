"""The API keeps what its OpenAPI description says, whatever is sent: no 5xx, and every answer as described."""

import json
import os
from uuid import uuid4

import pytest

pytest.importorskip("schemathesis")
import schemathesis
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.utils import timezone
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from events import api_keys, client_tokens
from recsys import leftovers
from recsys.application import around
from tests.events.conftest import make_event

pytestmark = pytest.mark.django_db
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
PAGE = "https://app.example.com"
ALIKE = os.environ.get("TEST_SERVERS") == "real"
ANONYMOUS = f"anon:{'7' * 20}"
PATHS = r"^/api/v1/(events|contents.*|users.*|auth/.*|rank|trending|categories|reports.*|appeals)$"


# Not `recsys.wsgi`: its thread would keep the stock of this process up to date beneath the tests that follow.
served = around(get_wsgi_application())
whole = schemathesis.openapi.from_wsgi("/api/schema?format=json", served)
schema = whole.include(path_regex=PATHS)
# It reads no header to know who calls, so there is one caller only.
beacon = whole.include(path="/api/v1/events/beacon")
# The second run of the same commit asks whether other servers answer alike: for that the requests that chance makes are
# enough, and fewer of them. Those of all boundaries of the description mostly end before any server is asked.
if ALIKE:
    whole.config.phases.update(phases=["fuzzing"])
# What the description allows, sent with a credential that holds; the other test sends what it does not.
beacons = schemathesis.openapi.from_dict(whole.raw_schema).include(path="/api/v1/events/beacon")
beacons.app, beacons.location = whole.app, whole.location
beacons.config.phases.update(phases=["fuzzing"])
beacons.config.generation.update(modes=[schemathesis.GenerationMode.POSITIVE])


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
def headers(db):
    """What each kind of caller sends to be known."""
    # A user of its own for each test: the broker keeps the buckets of the rate limits over all of them.
    owner = f"user-{uuid4().hex}"
    token = client_tokens.mint(owner, now=timezone.now())[0]
    page = api_keys.create_key("page", kind="publishable", origins=[PAGE])[1]
    return {
        "owner": owner,
        "server": {"Authorization": f"Bearer {api_keys.create_key('server')[1]}"},
        "user": {"Authorization": f"Bearer {token}"},
        "page": {"Authorization": f"Bearer {page}", "Origin": PAGE},
    }


@pytest.fixture(autouse=True)
def unhurried(settings, monkeypatch):
    """No request is too many: beacons of the generator carry no token that holds, and were refused unseen after some.
    And no refusal waits for a body that is still on its way: nothing is, between two callables.
    """
    settings.RATE_LIMITS = {}
    monkeypatch.setattr(leftovers, "PAUSE_S", 0.0)


quickly = hypothesis_settings(
    max_examples=5 if ALIKE else 20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_the_description_is_valid(tmp_path):
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "api.yaml"))


@pytest.mark.parametrize("caller", ["server", "user", "page"])
@schema.parametrize()
@quickly
def test_every_answer_is_as_described(case, caller, headers):
    case.call_and_validate(headers=headers[caller], checks=CHECKS)


@beacon.parametrize()
@quickly
def test_every_answer_to_a_beacon_is_as_described(case, headers):
    case.call_and_validate(headers=headers["page"], checks=CHECKS)


@pytest.mark.parametrize("caller", ["user", "page"])
@beacons.parametrize()
@quickly
def test_a_beacon_with_a_credential_that_holds_is_answered_as_described(case, caller, headers):
    # Some well-formed events, so that more than refusals is looked at; what else the description allows stays.
    body = dict(case.body) if isinstance(case.body, dict) else {"events": []}
    owner = headers["owner"] if caller == "user" else ANONYMOUS
    body["token"] = headers[caller]["Authorization"].removeprefix("Bearer ")
    body["events"] = [make_event(user_id=owner, timestamp=timezone.now().isoformat()), *body["events"][:9]]
    body["historical"] = False
    origin = {"Origin": headers[caller].get("Origin", PAGE), "Content-Type": "text/plain"}
    case.body = json.dumps(body)
    answer = case.call_and_validate(headers=origin, checks=CHECKS)
    assert answer.status_code in {202, 403}, answer.text


def test_null_is_no_time_of_sending(server):
    event = make_event(timestamp=timezone.now().isoformat())
    assert server.post("/api/v1/events", {"events": [event], "sent_at": None}, format="json").json()["accepted"] == 1
