"""The project as an app, so that its management commands and static files are found."""

from django.apps import AppConfig


class RecsysConfig(AppConfig):
    name = "recsys"
    verbose_name = "recsys"

    def ready(self) -> None:
        """Have the roles that settings name checked."""
        from django.core import checks  # noqa: PLC0415  as the apps are loaded

        from recsys import checks as ours  # noqa: PLC0415  as above

        checks.register(ours.second_factor_roles, checks.Tags.security)
