"""What `manage.py check` says of our own settings."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from recsys.roles import ROLES
from recsys.second_factor import EVERYBODY


def second_factor_roles(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A misspelt role would ask nobody for a second factor."""
    del app_configs, kwargs
    unknown = sorted(settings.SECOND_FACTOR_ROLES - {*ROLES, EVERYBODY})
    if not unknown:
        return []
    known = ", ".join([EVERYBODY, *ROLES])
    return [Error(f"SECOND_FACTOR_ROLES names {', '.join(unknown)}; known are {known}", id="recsys.E001")]
