"""recsys: settings, clock, URLs and commands. It wires the four apps together, and none of them imports it."""

from recsys.celery import app as celery_app

__all__ = ["celery_app"]
