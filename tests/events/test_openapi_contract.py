"""The API keeps what its OpenAPI description says, whatever is sent: no 5xx, and every answer as described."""

import pytest

pytest.importorskip("schemathesis")
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from recsys.wsgi import application

pytestmark = pytest.mark.django_db
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
PATHS = r"^/api/v1/(events|events/beacon|contents.*|users.*|auth/.*|rank|trending|categories)$"


schema = schemathesis.openapi.from_wsgi("/api/schema?format=json", application).include(path_regex=PATHS)


@pytest.fixture(autouse=True)
def one_connection():
    """Requests share the connection of the test's transaction, which the end of a request would close."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@schema.parametrize()
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_every_answer_is_as_described(case, server_key):
    case.call_and_validate(headers={"Authorization": f"Bearer {server_key}"}, checks=CHECKS)
