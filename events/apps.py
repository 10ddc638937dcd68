"""App configuration of the data ingestion layer."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "events"
    verbose_name = "Events and catalogue"
