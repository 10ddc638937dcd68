"""`manage.py serve web|work|beat`: one process of a deployment with real servers, in the foreground.

It becomes the program, so that whoever started it signals that: TERM ends it in order, and HUP lets the web server take
up the code at its path, worker by worker, while the others answer.
"""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from recsys.embedded import addresses, preflight, programs


class Command(BaseCommand):
    help = "Run one process of a deployment: web, work or beat. `up` runs them all, with embedded servers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("program", choices=programs.NAMES)

    def handle(self, *_args: Any, **options: Any) -> None:
        embedded = addresses.load(settings.VAR_DIR)
        own = {"DATABASE_URL": embedded.database_url, "CELERY_BROKER_URL": embedded.broker_url}
        missing = [name for name, url in own.items() if os.environ.get(name) in {None, "", url}]
        if missing:
            raise CommandError(f"{' and '.join(missing)} must be set; `manage.py up` runs servers of its own.")
        name, code = options["program"], programs.code_folder(os.environ, settings.BASE_DIR)
        if not (code / "recsys" / "wsgi.py").is_file():
            raise CommandError(f"RECSYS_CODE names {code}, where there is no recsys.")
        try:
            web = preflight.check_web_address(os.environ) if name == "web" else preflight.WebAddress("127.0.0.1", 0)
            line = programs.command(name, os.environ, var_dir=settings.VAR_DIR, folder=code, web=web)
        except preflight.PreflightError as error:
            raise CommandError(str(error)) from error
        environ = programs.surroundings(name, os.environ, var_dir=settings.VAR_DIR, folder=code)
        programs.empty(Path(environ["PROMETHEUS_MULTIPROC_DIR"]))
        os.chdir(programs.HOME)
        os.execve(line[0], line, environ)  # noqa: S606  no shell, and all of it ours
