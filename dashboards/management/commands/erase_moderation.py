"""`manage.py erase_moderation content|user ID --yes`: have moderation forget a content or a user."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboards import moderation_erasure


class Command(BaseCommand):
    help = (
        "Erase what moderation knows of a content or a user: reports, appeals, what the automatic check saw, changes. "
        "Decisions stay in the log, with their reasons and without anybody's words."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", choices=["content", "user"])
        parser.add_argument("id")
        parser.add_argument("--yes", action="store_true", help="needed: what is erased does not come back")

    def handle(self, *_args: Any, **options: Any) -> None:
        kind, about = options["kind"], options["id"]
        if not options["yes"]:
            raise CommandError(f"this erases what moderation knows of the {kind} {about!r}; say --yes to do it")
        erase = moderation_erasure.erase_content if kind == "content" else moderation_erasure.erase_user
        for table, rows in erase(about).items():
            self.stdout.write(f"{table}: {rows} removed")
