"""`manage.py rollback`: back to the release before and the model that served with it.

`roll_back` is about the model alone.
"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from recsys import switching
from recsys.embedded import preflight
from recsys.embedded.preflight import PreflightError
from recsys.management.commands.deploy import add_common_arguments
from recsys.releases import ReleaseError, Releases


class Command(BaseCommand):
    help = "Go back to the release before, code and model together. (`roll_back` is about the model alone.)"

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_common_arguments(parser)

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            preflight.check_database()
            release = switching.roll_back(
                Releases(options["root"]), reload=options["reload"], url=options["url"], say=self.stdout.write
            )
        except (PreflightError, ReleaseError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{release.name} runs again, with {release.model or 'the model as it is'}")
