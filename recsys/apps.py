"""The project as an app, so that its management commands and static files are found."""

from django.apps import AppConfig


class RecsysConfig(AppConfig):
    name = "recsys"
    verbose_name = "recsys"

    def ready(self) -> None:
        """Have the roles that settings name checked, and tell scrapes how much room is left."""
        # ruff: noqa: PLC0415  needs the apps to be there
        from django.core import checks

        from events import metrics
        from recsys import checks as ours
        from recsys import telemetry

        checks.register(ours.second_factor_roles, checks.Tags.security)
        if telemetry.measure_disk not in metrics.MEASURES:
            metrics.MEASURES.append(telemetry.measure_disk)
