"""Errors nobody planned: a database that is away, and an exception in a view."""

import pytest
from django.db import OperationalError
from django.test import RequestFactory

from events import errors
from events.errors import ApiError, handle_exception, not_found, server_error
from tests.events.conftest import make_event


@pytest.mark.django_db
def test_a_database_that_is_away_is_503_with_a_time_to_retry(server, settings, monkeypatch):
    server.get("/api/v1/users/u1")  # the key is known now; only the work itself fails

    def refuse(*args, **options):
        raise OperationalError("connection refused")

    monkeypatch.setattr("django.db.backends.utils.CursorWrapper.execute", refuse)
    for response in (
        server.post("/api/v1/events", {"events": [make_event()]}, format="json"),
        server.get("/api/v1/users/u1"),
    ):
        assert response.status_code == 503
        assert response.json()["error"]["code"] == "unavailable"
        assert response["Retry-After"] == str(errors.RETRY_AFTER_S)
    assert server.get("/livez").status_code == 200


@pytest.mark.django_db
def test_readiness_fails_while_the_database_is_away(client, monkeypatch):
    def refuse(*args, **options):
        raise OperationalError("connection refused")

    monkeypatch.setattr("django.db.backends.utils.CursorWrapper.execute", refuse)
    assert client.get("/readyz").status_code == 503


def test_an_unexpected_exception_is_left_to_django_which_answers_json_below_api():
    assert handle_exception(KeyError("x"), {}) is None
    response = server_error(RequestFactory().get("/api/v1/feed"))
    assert (response.status_code, response["Content-Type"]) == (500, "application/json")
    assert b"internal_error" in response.content


def test_pages_keep_their_html_errors():
    response = not_found(RequestFactory().get("/nowhere"), Exception("x"))
    assert (response.status_code, response["Content-Type"].partition(";")[0]) == (404, "text/html")


def test_an_api_error_carries_its_details():
    response = handle_exception(ApiError("too long", code="batch_too_long", limit=1000), {})
    assert response.status_code == 400
    assert response.data == {"error": {"code": "batch_too_long", "message": "too long", "details": {"limit": 1000}}}
