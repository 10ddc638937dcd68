"""`manage.py try_web`: load the web application as the web server does, and ask it whether it is ready.

A deployment does so before it switches: a server that reloads code which cannot be loaded loses its workers.
"""

import io
import json
from typing import Any
from wsgiref.util import setup_testing_defaults

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Load the web application and ask /readyz, without a server; fails where it is not ready."

    def handle(self, *_args: Any, **_options: Any) -> None:
        from recsys.wsgi import application  # noqa: PLC0415  loading it is what is tried

        hosts = [host for host in settings.ALLOWED_HOSTS if host != "*"] or ["localhost"]
        environ: dict[str, Any] = {"PATH_INFO": "/readyz", "HTTP_HOST": hosts[0].removeprefix(".")}
        setup_testing_defaults(environ)
        environ["wsgi.input"] = io.BytesIO()
        statuses: list[str] = []

        def start_response(status: str, _headers: Any, _error: Any = None) -> Any:
            statuses.append(status)
            return io.BytesIO().write

        body = b"".join(application(environ, start_response))
        if not statuses[-1].startswith("200"):
            raise CommandError(f"/readyz answers {statuses[-1]}: {body.decode(errors='replace')[:300]}")
        self.stdout.write(f"ready: {json.loads(body)}")
