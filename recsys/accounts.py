"""The log-ins of a local installation: one for each role that works in the admin and on the dashboards.

Existing accounts are left as they are, whatever their password: this only fills what is missing.
"""

from typing import Final

from django.contrib.auth.models import Group, User
from django.db import transaction

from recsys.roles import ensure_roles

DEMO_ROLES: Final = ("moderator", "moderation lead", "analyst")


@transaction.atomic
def ensure_demo_logins(password: str) -> list[tuple[str, str]]:
    """Create the superuser `admin` and one staff account per role where they are missing.

    Returns
    -------
    (role, username) of every demo log-in, whether it was made now or before.
    """
    _ensure_user("admin", password, superuser=True)
    ensure_roles()
    for role in DEMO_ROLES:
        _ensure_user(_username(role), password, group=Group.objects.get(name=role))
    return [("superuser", "admin"), *((role, _username(role)) for role in DEMO_ROLES)]


def _username(role: str) -> str:
    return role.rpartition(" ")[2]


def _ensure_user(username: str, password: str, *, superuser: bool = False, group: Group | None = None) -> None:
    if User.objects.filter(username=username).exists():
        return
    user = User.objects.create_user(username, password=password, is_staff=True, is_superuser=superuser)
    if group is not None:
        user.groups.add(group)
