"""`manage.py roll_back`: give serving back to the champion before."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ranking import registry
from ranking.ranker.bundle import BundleError


class Command(BaseCommand):
    help = "Give serving back to the champion before this one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--reason", required=True, help="why; kept with the version")
        parser.add_argument("--by", default=registry.COMMAND, help="who decided it; kept too")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            report = registry.roll_back(now=timezone.now(), by=options["by"], reason=options["reason"])
        except (registry.RegistryError, BundleError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"rolled back from {report.previous} to {report.version}, which serves now")
