"""Who may do what: the groups of the staff with their permissions, and what guards each route.

Denied unless said otherwise. A route is public by name, or its view names the scope or permission it needs, or it lies
in an area that needs one; the gate (`middleware.Gate`) refuses any other, whoever asks.
"""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from typing import Any, Final

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission

from dashboards.moderation_staff_api import DECIDE, StaffPermission
from events.authentication import Closed

_SEE_CONTENTS: Final = ("events.view_content",)
_SEE_PEOPLE: Final = ("events.view_userprofile", "events.view_event", "events.view_session")
_SEE_WORK: Final = ("events.view_importprogress", "events.view_windowfill", "events.view_automatedhour")
_SEE_FIGURES: Final = ("dashboards.view_kpi*",)
_ALERTS: Final = (
    "dashboards.view_alertrule", "dashboards.view_alertincident", "dashboards.view_alertmoment",
    "dashboards.view_alertsilence", "dashboards.add_alertsilence", "dashboards.ack_alertincident",
)  # fmt: skip
"""Not the channels: their secrets sign messages."""
_SEE_MODELS: Final = ("features.view_*", "ranking.view_*")
_MODERATE: Final = (
    *_SEE_CONTENTS, "events.view_userprofile", "events.view_event", "events.change_content",
    "dashboards.view_moderationcase", "dashboards.decide_moderationcase", "dashboards.view_screening",
)  # fmt: skip
ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    # Keys, and the events that were refused with what is in them: whoever mends a client has to see what it sent.
    "developer": (
        *_SEE_CONTENTS, *_SEE_WORK, *_SEE_MODELS, *_SEE_FIGURES, *_ALERTS, "events.*_apikey", "events.*_deadletter",
        "events.view_event",
    ),
    # May look at everything and change nothing, but acknowledge and silence alerts; reasons and payloads without the
    # people in them, no reports.
    "analyst": (
        *_SEE_CONTENTS, *_SEE_PEOPLE, *_SEE_WORK, *_SEE_MODELS, *_SEE_FIGURES, *_ALERTS,
        "events.view_deadletter", "events.export_deadletter",
    ),
    "moderator": _MODERATE,
    # Escalated cases, bulk, the decisions of others, and the log with who decided.
    "moderation lead": (
        *_MODERATE, *_SEE_FIGURES, "dashboards.lead_moderationcase", "dashboards.view_moderationaction",
        "dashboards.view_report", "dashboards.view_appeal", "dashboards.view_changehistory",
        # The rules of the automatic check and the lists it compares with.
        "dashboards.view_screeningrule", "dashboards.add_screeningrule", "dashboards.change_screeningrule",
        "dashboards.*_hashlist", "dashboards.*_hashentry", "dashboards.view_uploadsigns",
    ),
    "ml-engineer": (*_SEE_CONTENTS, *_SEE_WORK, *_SEE_FIGURES, *_ALERTS, "features.*", "ranking.*"),
    # Sets up, starts, stops and ships experiments, and reads everything they are judged by.
    "experimenter": (*_SEE_CONTENTS, *_SEE_MODELS, *_SEE_FIGURES, "ranking.run_experiment"),
    "privacy officer": (*_SEE_CONTENTS, *_SEE_PEOPLE, *_SEE_FIGURES, "features.view_*", "events.view_deadletter",
                        "events.reveal_deadletter"),
    "admin": ("*.*",),
}  # fmt: skip
"""Permissions of each group, as patterns of `app.codename`."""

PUBLIC: Final = frozenset({
    "player", "player-token",  # answer only where the demo player is on
    "schema", "docs", "livez", "readyz",
    "metrics",  # asks for its own token, or for staff
    "events-beacon",  # the token lies in the body
})  # fmt: skip
LOGGED_IN: Final = frozenset({"second-factor"})
"""Pages that ask for staff by themselves, and for nothing more."""
AREAS: Final[Mapping[str, str]] = {"dashboards": "dashboards.view_kpipoint", "moderation": DECIDE}
"""The permission that every page of a namespace needs."""


def ensure_roles() -> list[str]:
    """Make every group with the permissions of its role; returns the names of those that are new.

    Groups that exist keep what an admin gave them and get what they lack.
    """
    for config in apps.get_app_configs():
        # A database that is being made has its permissions only after all migrations.
        create_permissions(config, verbosity=0)
    named = {f"{each.content_type.app_label}.{each.codename}": each for each in _permissions()}
    made = []
    for role, patterns in ROLES.items():
        group, new = Group.objects.get_or_create(name=role)
        group.permissions.add(*(each for name, each in named.items() if any(fnmatch(name, form) for form in patterns)))
        made += [role] if new else []
    return made


def guard_of(view: Callable[..., Any], *, namespaces: Sequence[str], name: str | None) -> str:
    """What a route needs: "public", "login", "admin", "scope ...", "staff ...", "area ..."; "" where nothing says so.

    The admin asks for staff and for the permission of each model by itself.
    """
    if name in PUBLIC and not namespaces:
        return "public"
    if "admin" in namespaces or (name in LOGGED_IN and not namespaces):
        return "admin" if "admin" in namespaces else "login"
    for needed in getattr(getattr(view, "cls", None), "permission_classes", ()):
        if isinstance(needed, type) and issubclass(needed, StaffPermission) and needed.permission:
            return f"staff {needed.permission}"
        if isinstance(needed, type) and issubclass(needed, Closed) and needed.scope:
            return f"scope {needed.scope}"
    return next((f"area {AREAS[space]}" for space in namespaces if space in AREAS), "")


def _permissions() -> list[Permission]:
    return list(Permission.objects.select_related("content_type"))
