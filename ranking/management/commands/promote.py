"""`manage.py promote VERSION`: let a registered model serve."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ranking import registry
from ranking.ranker.bundle import BundleError


class Command(BaseCommand):
    help = "Let a registered model serve. Refused when it failed its gates."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("version", help="as listed in the admin under model versions")
        parser.add_argument("--despite-gates", action="store_true", help="promote even if it failed its gates")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            report = registry.promote(options["version"], now=timezone.now(), despite_gates=options["despite_gates"])
        except (registry.RegistryError, BundleError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{report.version} serves now; before: {report.previous or 'none'}")
