"""App configuration of the recommendation engine."""

from django.apps import AppConfig


class RankingConfig(AppConfig):
    name = "ranking"
    verbose_name = "Recommendation engine"
