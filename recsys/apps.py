"""The project as an app, so that its management commands and static files are found."""

from django.apps import AppConfig


class RecsysConfig(AppConfig):
    name = "recsys"
    verbose_name = "recsys"

    def ready(self) -> None:
        """Tell scrapes how much room is left."""
        from events import metrics  # noqa: PLC0415  needs the apps to be there
        from recsys import telemetry  # noqa: PLC0415

        if telemetry.measure_disk not in metrics.MEASURES:
            metrics.MEASURES.append(telemetry.measure_disk)
