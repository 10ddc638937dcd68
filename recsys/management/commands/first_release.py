"""`manage.py first_release`: the release that the services of a new installation start from; `deploy` makes the others.

There is no database yet, or nothing that answers: `up`, or `migrate` on real servers, makes the tables.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from recsys.management.commands.deploy import add_root
from recsys.releases import ReleaseError, Releases


class Command(BaseCommand):
    help = "Build the first release of an installation and let `current` point at it; starts nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("revision", nargs="?", default="HEAD", help="commit, tag or branch (default: HEAD)")
        parser.add_argument("--source", type=Path, default=settings.BASE_DIR, help="git repository (default: this one)")
        add_root(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        releases = Releases(options["root"])
        try:
            if running := releases.current():
                raise ReleaseError(f"{running.name} is there already: `manage.py deploy` goes on from it")
            release = releases.build(options["source"], options["revision"], now=timezone.now())
        except ReleaseError as error:
            raise CommandError(str(error)) from error
        releases.switch(release)
        self.stdout.write(f"{options['root'] / 'current'} is {release.name}")
