"""Errors nobody planned: a database that is away, and an exception in a view."""

from datetime import date

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test import RequestFactory

from events import errors, partitions
from events.errors import ApiError, handle_exception, not_found, server_error
from events.models import UserProfile
from tests.events.conftest import make_event


@pytest.fixture
def log_refuses(db) -> None:
    """A log that fails like a server that is being shut down while it inserts."""
    # The trigger locks the log until the test ends, and a partition could not be made meanwhile.
    partitions.ensure([date(2026, 11, 1)])
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'shutting down' USING ERRCODE = '57P01'; END $$"
        )
        cursor.execute("CREATE TRIGGER refuse BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION refuse()")


@pytest.mark.parametrize("size", [1, 80])
def test_a_database_that_goes_away_is_503_with_a_time_to_retry_and_nothing_stored(server, log_refuses, size):
    events = [make_event(user_id="new") for _ in range(size)]
    response = server.post("/api/v1/events", {"events": events}, format="json")
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "unavailable"
    assert response["Retry-After"] == str(errors.RETRY_AFTER_S)
    assert not UserProfile.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_cut_costs_one_answer_and_heals(server):
    server.get("/api/v1/users/u1")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    other.close()
    statuses = [server.post("/api/v1/events", {"events": [make_event()]}, format="json").status_code for _ in range(3)]
    assert set(statuses) <= {202, 503}
    assert statuses[-1] == 202


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


@pytest.mark.parametrize(
    ("path", "kind"), [("/api/v1/feed", "application/json"), ("/dashboards/", "text/plain; charset=utf-8")]
)
@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_a_database_that_is_away_is_503_on_every_page(path, kind, error):
    try:
        raise error("gone")
    except error:
        response = server_error(RequestFactory().get(path))
    assert (response.status_code, response["Content-Type"]) == (503, kind)
    assert response["Retry-After"] == str(errors.RETRY_AFTER_S)
    assert b"cannot be reached" in response.content


def test_a_page_of_people_says_so_too(client, admin_user, monkeypatch):
    client.force_login(admin_user)
    client.raise_request_exception = False

    def refuse(*args, **options):
        raise OperationalError("connection refused")

    with monkeypatch.context() as patched:
        patched.setattr("django.db.backends.utils.CursorWrapper.execute", refuse)
        assert client.get("/dashboards/").status_code == 503


def test_pages_keep_their_html_errors():
    response = not_found(RequestFactory().get("/nowhere"), Exception("x"))
    assert (response.status_code, response["Content-Type"].partition(";")[0]) == (404, "text/html")


def test_an_api_error_carries_its_details():
    response = handle_exception(ApiError("too long", code="batch_too_long", limit=1000), {})
    assert response.status_code == 400
    assert response.data == {"error": {"code": "batch_too_long", "message": "too long", "details": {"limit": 1000}}}
