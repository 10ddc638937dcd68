"""The WSGI entry point that granian serves."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsys.settings")

_django = get_wsgi_application()

from recsys.events_door import EventsDoor  # noqa: E402  what it imports needs the settings

application = EventsDoor(_django)

# Everything loaded so far lives as long as the process; the collector need not look at it again.
gc.collect()
gc.freeze()
