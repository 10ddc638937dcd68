"""App configuration of the dashboards."""

from django.apps import AppConfig


class DashboardsConfig(AppConfig):
    name = "dashboards"
    verbose_name = "Dashboards"

    def ready(self) -> None:
        """Hook into the apps to the left: the admin's statuses go through the moderation log, uploads through the
        automatic check, and the gauges are measured per scrape.
        """
        # ruff: noqa: PLC0415  models can be imported once the apps are loaded
        from dashboards import moderation_admin, screening_intake, telemetry
        from events import admin_base, metrics
        from features import content_records

        admin_base.MODERATE.append(moderation_admin.set_status)
        content_records.LISTENERS.append(screening_intake.note)
        metrics.MEASURES.append(telemetry.measure)
