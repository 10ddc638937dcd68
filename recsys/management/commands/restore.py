"""`manage.py restore [BACKUP]`: bring an installation back to the end of what was kept, or to a point in time."""

import time
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_datetime

from recsys.embedded import backups
from recsys.embedded.process import ServerError
from recsys.management.commands.backup import add_folder, connect_environment


class Command(BaseCommand):
    help = "Bring database, models and media back from a backup. The embedded servers must be down."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("backup", nargs="?", help="its name; by default the newest, or the newest before --at")
        parser.add_argument("--at", help="ISO moment with a zone: what was committed later is left out")
        parser.add_argument("--yes", action="store_true", help="do it; without this it only says what it would do")
        add_folder(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        at = _moment(options["at"])
        folder = options["folder"].resolve()
        try:
            name = options["backup"] or _newest(backups.known(folder), at)
            backup = backups.read(folder / name)
            goal = at.isoformat() if at else "the end of what was kept"
            if not options["yes"]:
                self.stdout.write(f"would restore {folder / name} ({backup.kind}) and go on to {goal}; --yes does it")
                return
            started = time.monotonic()
            if settings.EMBEDDED:
                backups.restore(folder / name, settings.VAR_DIR, at=at)
            elif at is not None:
                raise CommandError("A dump has one moment only: use the archive of the server for a point in time.")
            else:
                backups.restore_dump(folder / name, connect_environment(), settings.VAR_DIR)
        except (OSError, ServerError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"restored {name} to {goal} in {time.monotonic() - started:.0f} s; `up` brings it back")


def _moment(given: str | None) -> datetime | None:
    try:
        at = parse_datetime(given) if given else None
    except ValueError:
        at = None
    if given and (at is None or at.tzinfo is None):
        raise CommandError(f"--at must be an ISO moment with a time zone, got {given!r}")
    return at


def _newest(known: list[backups.Backup], at: datetime | None) -> str:
    fit = [backup for backup in known if at is None or datetime.fromisoformat(backup.taken_at) <= at]
    if not fit:
        raise ServerError("There is no backup" + (f" from before {at.isoformat()}." if at else "."))
    return fit[-1].name
