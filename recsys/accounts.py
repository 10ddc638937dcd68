"""The log-ins of a local installation: one for each role that works in the admin and on the dashboards.

Existing accounts are left as they are, whatever their password: this only fills what is missing.
"""

from typing import Final

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction

ROLES: Final[dict[str, tuple[str, ...]]] = {
    # May see everything about contents and take them down.
    "moderator": ("events.view_content", "events.change_content", "events.view_userprofile", "events.view_event"),
    # May look at everything and change nothing.
    "analyst": (
        "events.view_content",
        "events.view_userprofile",
        "events.view_event",
        "events.view_importprogress",
        "events.view_session",
        "events.view_windowfill",
        "events.view_automatedhour",
        # Reasons and payloads without the people in them.
        "events.view_deadletter",
        "events.export_deadletter",
        "features.*",
        "ranking.*",
        "dashboards.*",
    ),
}


@transaction.atomic
def ensure_demo_logins(password: str) -> list[tuple[str, str]]:
    """Create the superuser `admin` and one staff account per role where they are missing.

    Returns
    -------
    (role, username) of every demo log-in, whether it was made now or before.
    """
    _ensure_user("admin", password, superuser=True)
    for role, names in ROLES.items():
        group, new = Group.objects.get_or_create(name=role)
        if new:
            group.permissions.set(_permissions(names))
        _ensure_user(role, password, group=group)
    return [("superuser", "admin"), *((role, role) for role in ROLES)]


def _ensure_user(username: str, password: str, *, superuser: bool = False, group: Group | None = None) -> None:
    if User.objects.filter(username=username).exists():
        return
    user = User.objects.create_user(username, password=password, is_staff=True, is_superuser=superuser)
    if group is not None:
        user.groups.add(group)


def _permissions(names: tuple[str, ...]) -> list[Permission]:
    """Permissions by `app.codename`; `app.*` means viewing everything of an app."""
    found: list[Permission] = []
    for name in names:
        app, _, codename = name.partition(".")
        of_app = Permission.objects.filter(content_type__app_label=app)
        found += of_app.filter(codename__startswith="view_") if codename == "*" else of_app.filter(codename=codename)
    return found
