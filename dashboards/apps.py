"""App configuration of the dashboards."""

from django.apps import AppConfig


class DashboardsConfig(AppConfig):
    name = "dashboards"
    verbose_name = "Dashboards"

    def ready(self) -> None:
        """Have the statuses that the admin's list of contents changes go through the moderation log."""
        from dashboards import moderation_admin  # noqa: PLC0415  models can be imported once the apps are loaded
        from events import admin_base  # noqa: PLC0415

        admin_base.MODERATE.append(moderation_admin.set_status)
