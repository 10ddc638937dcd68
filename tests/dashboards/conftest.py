"""API clients and members of staff for the tests of moderation."""

# ruff: noqa: PLC0415  pytest reads this file before Django is set up
from collections.abc import Callable
from typing import Any

import pytest

from tests.events.conftest import _forget_keys, as_user, server, server_key

__all__ = ["_forget_keys", "as_user", "server", "server_key"]


@pytest.fixture
def staff(db: None, settings: Any) -> Callable[..., Any]:
    """A client that is logged in with a role."""
    from django.contrib.auth.models import Group, User
    from rest_framework.test import APIClient

    from recsys.roles import ensure_roles

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    ensure_roles()

    def log_in(role: str, name: str = "") -> APIClient:
        user, _ = User.objects.get_or_create(username=name or role, is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        client = APIClient(raise_request_exception=False)
        client.force_login(user)
        client.user = user
        return client

    return log_in
