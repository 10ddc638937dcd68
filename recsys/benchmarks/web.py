"""The web server of a benchmark, started as `manage.py up` starts it."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

from django.conf import settings

from recsys.embedded.preflight import WebAddress
from recsys.management.commands.up import answers, processes

START_LIMIT_S = 60.0


@contextmanager
def web_server(*, settings_module: str | None = None) -> Iterator[int]:
    """The port of a web server with the workers, threads, limits and settings of `up`; it is gone afterwards.

    `settings_module` takes the place of the system's settings.
    """
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    web = processes(WebAddress("127.0.0.1", port), settings.VAR_DIR)[0]
    web.before_start()
    environ = {**web.environ, "RATE_LIMIT": "1"}
    if settings_module is not None:
        environ["DJANGO_SETTINGS_MODULE"] = settings_module
    server = subprocess.Popen(web.command, cwd=web.folder, env=environ)
    try:
        deadline = time.monotonic() + START_LIMIT_S
        while not answers(f"http://127.0.0.1:{port}/livez"):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the web server did not answer on port {port} within {START_LIMIT_S:.0f} s")
            time.sleep(0.2)
        yield port
    finally:
        server.terminate()
        try:
            server.wait(web.grace_s)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def metrics_folder() -> Path:
    """Where the processes of `web_server` count."""
    return Path(settings.VAR_DIR) / "prometheus" / "web"
