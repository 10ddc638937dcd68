"""App configuration of the feature store."""

from django.apps import AppConfig


class FeaturesConfig(AppConfig):
    name = "features"
    verbose_name = "Feature store"

    def ready(self) -> None:
        """Have the gauges of this app measured before each scrape."""
        from events import metrics  # noqa: PLC0415  models can be imported once the apps are loaded
        from features import telemetry  # noqa: PLC0415

        metrics.MEASURES.append(telemetry.measure)
