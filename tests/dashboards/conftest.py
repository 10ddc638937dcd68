"""Events for the rollups, an analyst who asks the API, members of staff and API clients for moderation."""

# ruff: noqa: PLC0415  pytest reads this file before Django is set up, so models are imported where they are used

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.events.conftest import _forget_keys, as_user, server, server_key

__all__ = ["_forget_keys", "as_user", "server", "server_key"]

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)


def at(day: int, clock: str) -> datetime:
    """A moment of March 2026, UTC."""
    return datetime.fromisoformat(f"2026-03-{day:02d}T{clock}:00+00:00")


def event(kind: str, user: str, when: datetime, content: str | None = "c1", **fields: Any) -> dict[str, Any]:
    """An event; extra fields as the API takes them."""
    found = {
        "event_id": str(uuid.uuid4()), "event_type": kind, "user_id": user, "content_id": content,
        "timestamp": when.isoformat(), **fields,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def view(user: str, when: datetime, seconds: float = 5.0, content: str = "c1", **fields: Any) -> dict[str, Any]:
    """A view of so many seconds."""
    return event("view", user, when, content, watch_duration=seconds, **fields)


def send(*events: dict[str, Any], now: datetime = NOW) -> None:
    """Take events in."""
    from events.ingestion import ingest

    report = ingest(list(events), now=now, source="test", historical=True)
    assert not report.rejected, report.rejected


@pytest.fixture
def analyst(db):
    """A client with a server key that may read metrics and nothing else."""
    from rest_framework.test import APIClient

    from events import api_keys, authentication, throttling

    authentication.forget_keys()
    throttling.forget()
    client = APIClient()
    secret = api_keys.create_key("notebook", scopes={"metrics:read"})[1]
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


@pytest.fixture
def staff(db: None) -> Callable[..., Any]:
    """A client that is logged in with a role."""
    from django.contrib.auth.models import Group, User
    from rest_framework.test import APIClient

    from recsys.roles import ensure_roles

    ensure_roles()

    def log_in(role: str, name: str = "") -> APIClient:
        user, _ = User.objects.get_or_create(username=name or role, is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        client = APIClient(raise_request_exception=False)
        client.force_login(user)
        client.user = user
        return client

    return log_in
