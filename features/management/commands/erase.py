"""`manage.py erase content|user ID --yes`: take a content or a user out of the feature store."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from events.queries import user_span
from features.erasure import erase_content, erase_user


class Command(BaseCommand):
    help = (
        "Erase a content or a user from the feature store, and print what was removed per table. Rows of the log, the "
        "catalogue and the profile are not touched: a later step of the erasure removes them, and until then the next "
        "materialisation takes in again what they say."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", choices=["content", "user"])
        parser.add_argument("id")
        parser.add_argument("--yes", action="store_true", help="needed: what is erased does not come back")

    def handle(self, *_args: Any, **options: Any) -> None:
        kind, about = options["kind"], options["id"]
        if not options["yes"]:
            raise CommandError(f"this erases the {kind} {about!r} from the feature store for good; say --yes to do it")
        if kind == "content":
            gone = erase_content(about)
        else:
            first, last = user_span(about) or (None, None)
            gone = erase_user(about, first=first, last=last)
        changed = {"content_window": "changed", "window_fill": "to be counted again"}
        for table, rows in gone.items():
            self.stdout.write(f"{table}: {rows} {changed.get(table, 'removed')}")
        self.stdout.write("The log, the catalogue and the profile still have what they had.")
