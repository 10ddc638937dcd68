"""The whole web application as one WSGI callable, without what only a serving process starts (see `wsgi`)."""

from wsgiref.types import WSGIApplication

from django.conf import settings

from recsys.events_door import EventsDoor
from recsys.leftovers import LeftoverBodies
from recsys.whole_answers import whole_answers


def around(django: WSGIApplication) -> WSGIApplication:
    """Django behind the short way for events."""
    return whole_answers(LeftoverBodies(EventsDoor(django), limit_bytes=settings.DATA_UPLOAD_MAX_MEMORY_SIZE))
