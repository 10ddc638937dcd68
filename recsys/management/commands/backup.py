"""`manage.py backup`: the database, models and media, so that `restore` can bring them back."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from recsys.embedded import backups
from recsys.embedded.postgres import WAL
from recsys.embedded.process import ServerError


def connect_environment() -> dict[str, str]:
    """libpq's environment for the database of the settings."""
    known: dict[str, Any] = settings.DATABASES["default"]
    fields = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD", "PGDATABASE": "NAME"}
    found = {name: str(known[field]) for name, field in fields.items() if known[field]}
    options = known["OPTIONS"]
    tls = {"PGSSLMODE": "sslmode", "PGSSLROOTCERT": "sslrootcert", "PGSSLCERT": "sslcert", "PGSSLKEY": "sslkey"}
    return found | {name: str(options[option]) for name, option in tls.items() if option in options}


def add_folder(parser: ArgumentParser) -> None:
    """Where backups lie."""
    given = os.environ.get("BACKUP_DIR")
    parser.add_argument(
        "--folder", type=Path, default=given and Path(given), required=not given,
        help="folder of all backups (default: BACKUP_DIR)",
    )  # fmt: skip


class Command(BaseCommand):
    help = "Back up database, models and media below BACKUP_DIR."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_folder(parser)
        parser.add_argument("--keep", type=int, help="then remove all but so many backups, and what only those needed")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["keep"] is not None and options["keep"] < 1:
            raise CommandError(f"--keep must be at least 1, not {options['keep']}: the newest backup stays.")
        folder = options["folder"].resolve()
        os.umask(0o077)
        try:
            made = backups.take(
                folder, settings.VAR_DIR, connect=connect_environment(), embedded=settings.EMBEDDED, now=timezone.now()
            )
            gone = backups.prune(folder, keep=options["keep"]) if options["keep"] else []
        except (OSError, ServerError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{folder / made.name}: {made.bytes / 1e6:.0f} MB in {made.seconds:.0f} s ({made.kind})")
        if settings.EMBEDDED and not (folder / WAL).is_dir():
            self.stdout.write("Only to this moment: run `up` with BACKUP_DIR set to keep what is written from now on.")
        for name in gone:
            self.stdout.write(f"removed {name}")
