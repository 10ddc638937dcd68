"""`manage.py deploy REVISION`: a release of a commit takes over from the one that runs, without a pause."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from recsys import switching
from recsys.embedded import preflight
from recsys.embedded.preflight import PreflightError
from recsys.releases import ReleaseError, Releases

RELOAD = "systemctl reload-or-restart recsys-web.service recsys-work.service recsys-beat.service"


def add_root(parser: ArgumentParser) -> None:
    """Where releases lie."""
    parser.add_argument(
        "--root", type=Path, default=os.environ.get("RECSYS_ROOT"), required="RECSYS_ROOT" not in os.environ,
        help="folder with releases, venvs and the link `current` (default: RECSYS_ROOT)",
    )  # fmt: skip


def add_common_arguments(parser: ArgumentParser) -> None:
    """What `deploy` and `rollback` both ask for."""
    add_root(parser)
    parser.add_argument(
        "--reload", default=os.environ.get("RECSYS_RELOAD") or RELOAD,
        help=f"command that lets the services take up what the link points at (default: RECSYS_RELOAD, or `{RELOAD}`)",
    )  # fmt: skip
    port = preflight.number_from(os.environ, "WEB_PORT", 8000, highest=preflight.HIGHEST_PORT)
    parser.add_argument(
        "--url", default=f"http://127.0.0.1:{port}", help="where the web server answers on this host (by WEB_PORT)"
    )


class Command(BaseCommand):
    help = "Switch to a release of a commit: build, migrate, reload, look; back again where it does not come up."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("revision", nargs="?", default="HEAD", help="commit, tag or branch (default: HEAD)")
        parser.add_argument("--source", type=Path, default=settings.BASE_DIR, help="git repository (default: this one)")
        parser.add_argument("--model", help="a registered model that is to serve with it")
        add_common_arguments(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            preflight.check_database()
            release = switching.deploy(
                Releases(options["root"]), options["source"], options["revision"], model=options["model"],
                reload=options["reload"], url=options["url"], now=timezone.now(), say=self.stdout.write,
            )  # fmt: skip
        except (PreflightError, ReleaseError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{release.name} runs; `manage.py rollback` goes back to {release.previous or 'nothing'}")
