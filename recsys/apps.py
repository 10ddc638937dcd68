"""The project as an app, so that its management commands and static files are found."""

from django.apps import AppConfig


class RecsysConfig(AppConfig):
    name = "recsys"
    verbose_name = "recsys"
