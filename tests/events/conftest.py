"""Events as a client sends them, and API clients with each kind of credential."""

# ruff: noqa: PLC0415  pytest reads this file before Django is set up, so models are imported where they are used

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rest_framework.test import APIClient

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FIELDS: dict[str, dict[str, Any]] = {
    "view": {"watch_duration": 4.5},
    "comment": {"comment_text": "so good"},
    "share": {"platform": "sms"},
    "report": {"reason": "spam"},
    "follow": {"creator_id": "k1"},
    "unfollow": {"creator_id": "k1"},
    "content_upload": {"creator_id": "k1", "metadata": {"caption": "first"}},
}


def make_event(event_type: str = "like", **fields: Any) -> dict[str, Any]:
    """A valid event of a type, with a fresh id; a field given as None is left out."""
    event = {
        "event_id": str(uuid.uuid4()),
        "event_type": event_type,
        "user_id": "k1" if event_type == "content_upload" else "u1",
        "content_id": "c1",
        "timestamp": "2026-11-23T11:59:00Z",
        **FIELDS.get(event_type, {}),
        **fields,
    }
    return {name: value for name, value in event.items() if value is not None}


def event_just_now(event_type: str = "like", **fields: Any) -> dict[str, Any]:
    """The same a minute ago: for doors, which read the clock and take nothing older than a week of users."""
    return make_event(event_type, **{"timestamp": (datetime.now(UTC) - timedelta(minutes=1)).isoformat()} | fields)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(autouse=True)
def _forget_keys() -> Iterator[None]:
    """Keys and profiles are remembered for longer than a test's rows live."""
    from events import authentication, durations, log_writer, throttling

    def forget() -> None:
        authentication.forget_keys()
        log_writer.forget()
        durations.forget()
        throttling.forget()

    forget()
    yield
    forget()


@pytest.fixture
def server_key(db: None) -> str:
    from events import api_keys

    return api_keys.create_key("test")[1]


@pytest.fixture
def server(server_key: str) -> "APIClient":
    """The host app's server."""
    return _client(server_key)


@pytest.fixture
def as_user(db: None) -> Callable[[str], "APIClient"]:
    """An end user's own client."""
    from django.utils import timezone

    from events import client_tokens

    return lambda user_id: _client(client_tokens.mint(user_id, now=timezone.now())[0])


def _client(secret: str) -> "APIClient":
    from rest_framework.test import APIClient

    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client
