"""`manage.py roll_back`: give serving back to the champion before."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ranking import registry
from ranking.ranker.bundle import BundleError


class Command(BaseCommand):
    help = "Give serving back to the champion before this one."

    def handle(self, *_args: Any, **_options: Any) -> None:
        try:
            report = registry.roll_back(now=timezone.now())
        except (registry.RegistryError, BundleError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"rolled back from {report.previous} to {report.version}, which serves now")
