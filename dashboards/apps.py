"""App configuration of the dashboards."""

from django.apps import AppConfig


class DashboardsConfig(AppConfig):
    name = "dashboards"
    verbose_name = "Dashboards"

    def ready(self) -> None:
        """Have the admin's statuses of contents go through the moderation log, and the gauges measured per scrape."""
        from dashboards import moderation_admin, telemetry  # noqa: PLC0415  models can be imported once apps are loaded
        from events import admin_base, metrics  # noqa: PLC0415

        admin_base.MODERATE.append(moderation_admin.set_status)
        metrics.MEASURES.append(telemetry.measure)
