"""`manage.py backfill FROM TO`: count hours of the log again, whatever the feature store says of them."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from events import windows
from events.queries import count_between
from features import log_windows
from features.materialize import backfill


class Command(BaseCommand):
    help = (
        "Count the hours that overlap FROM to TO again from the log, fold the contents they are about, and write a new "
        "snapshot. Needed after the log was changed behind the back of its triggers, or to be sure: without a change "
        "of the log the same bytes come out."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("start", metavar="FROM", help="ISO date or moment; UTC where it names no zone")
        parser.add_argument("end", metavar="TO", help="likewise; the first moment that is not done again")

    def handle(self, *_args: Any, **options: Any) -> None:
        now = timezone.now()
        start, end = _moment("FROM", options["start"]), _moment("TO", options["end"])
        if end <= start:
            raise CommandError(f"TO must be after FROM, got {start.isoformat()} and {end.isoformat()}")
        if start >= now:
            raise CommandError(f"FROM must be in the past, got {start.isoformat()}")
        self.stdout.write(
            f"{count_between(start, min(end, now)):,} events from {start.isoformat()} to {end.isoformat()}"
        )
        self._shown = ("", -1)
        try:
            report = backfill(start, end, until=now, progress=self._show)
        except KeyboardInterrupt as error:
            # Every run of hours is a transaction, and those that are not done are due.
            message = "Interrupted; the hours that are missing are done by the next tick, or by the same command."
            raise CommandError(message, returncode=130) from error
        self.stdout.write(
            f"counted {report.events:,} events in {report.windows:,} hours, wrote {report.states:,} states; "
            f"snapshot {report.version or 'none, the catalogue is empty'}{'' if report.written else ', as before'}"
        )
        if failed := windows.set_aside().get(log_windows.FAMILY):
            raise CommandError(
                f"{failed} hours failed every time and are set aside; the admin's filled windows say why"
            )

    def _show(self, stage: str, done: int, total: int) -> None:
        """A line per tenth of a stage, so that a log file stays readable."""
        tenth = stage, 10 * done // total if total else 10
        if tenth != self._shown:
            self._shown = tenth
            self.stdout.write(f"{stage}: {done:,} of {total:,}")


def _moment(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{name} must be an ISO date or moment such as 2026-11-25T13:00, got {text!r}") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
