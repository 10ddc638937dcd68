"""App configuration of the dashboards."""

from django.apps import AppConfig


class DashboardsConfig(AppConfig):
    name = "dashboards"
    verbose_name = "Dashboards"

    def ready(self) -> None:
        """Have the admin's list of contents go through the moderation log, and uploads through the automatic check."""
        from dashboards import moderation_admin, screening_intake  # noqa: PLC0415  models can be imported once the apps are loaded
        from events import admin_base  # noqa: PLC0415
        from features import content_records  # noqa: PLC0415

        admin_base.MODERATE.append(moderation_admin.set_status)
        content_records.LISTENERS.append(screening_intake.note)
