"""Take in a list of banned files: `manage.py import_hashes known-spam list.csv --policy spam`."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from dashboards import hash_lists
from dashboards.casework.policies import CODES
from events.errors import ApiError


class Command(BaseCommand):
    help = "Add the entries of a CSV file (label, SHA-256, perceptual hashes) to a list of banned files."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="Name of the list.")
        parser.add_argument("file", type=Path, help="label,sha256,hash hash ...; one of the two may be empty.")
        parser.add_argument("--policy", required=True, choices=CODES, help="What a match breaks.")
        parser.add_argument("--origin", default="", help="Who keeps the list.")

    def handle(self, *args: Any, **options: Any) -> None:
        del args
        try:
            with options["file"].open(encoding="utf-8", newline="") as lines:
                done = hash_lists.import_list(
                    options["name"], lines, policy=options["policy"], origin=options["origin"], now=timezone.now()
                )
        except (OSError, UnicodeDecodeError, ApiError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{done.entries} entries, {done.new} of them new; the list is at version {done.version}")
