"""`manage.py promote VERSION`: let a registered model serve, all users or some, or only watch."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ranking import registry
from ranking.ranker.bundle import BundleError


class Command(BaseCommand):
    help = (
        "Let a registered model serve; refused when it failed its gates. With --to it becomes a canary, which serves a "
        "share of the users, a shadow, which scores a share of the pages and serves none, or is archived."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("version", help="as listed in the admin under model versions")
        parser.add_argument("--reason", required=True, help="why; kept with the version")
        parser.add_argument("--by", default=registry.COMMAND, help="who decided it; kept too")
        parser.add_argument("--to", default="champion", choices=("champion", "canary", "shadow", "archived"))
        parser.add_argument("--share", type=int, default=5, metavar="PERCENT", help="of users or pages, 1 to 100")
        parser.add_argument("--despite-gates", action="store_true", help="promote even if it failed its gates")

    def handle(self, *_args: Any, **options: Any) -> None:
        version, signed = options["version"], {"by": options["by"], "reason": options["reason"]}
        now = timezone.now()
        try:
            if options["to"] == "champion":
                report = registry.promote(version, now=now, despite_gates=options["despite_gates"], **signed)
                said = f"{report.version} serves now; before: {report.previous or 'none'}"
            elif options["to"] == "archived":
                registry.archive(version, now=now, **signed)
                said = f"{version} is archived"
            elif options["to"] == "canary":
                registry.canary(version, options["share"], now=now, **signed)
                said = f"{version} serves {options['share']} % of the users now"
            else:
                registry.shadow(version, options["share"], now=now, **signed)
                said = f"{version} scores {options['share']} % of the pages from now on, and serves none"
        except (registry.RegistryError, BundleError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(said)
