"""`manage.py train`: bring the features up to date, train a ranker, and promote it if it passes its gates."""

from argparse import ArgumentParser
from dataclasses import replace
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from features.materialize import materialize
from ranking import training
from ranking.training import TrainConfig, TrainingRunsError


class Command(BaseCommand):
    help = "Train a ranker on everything up to now (or --until) and promote it if it passes its gates."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--until", help="ISO moment with a zone; events at or after it are not seen")
        parser.add_argument("--seed", type=int, default=TrainConfig().seed, help="makes the run repeatable")
        parser.add_argument("--no-promote", action="store_true", help="register the model, but do not let it serve")

    def handle(self, *_args: Any, **options: Any) -> None:
        now = timezone.now()
        until = parse_datetime(options["until"]) if options["until"] else now
        if until is None or until.tzinfo is None:
            raise CommandError(f"--until must be an ISO moment with a time zone, got {options['until']!r}")
        config = replace(TrainConfig(), seed=options["seed"])
        self.stdout.write("bringing features up to date")
        materialize(until=until)
        work = training.train if options["no_promote"] else training.train_and_promote
        try:
            report = work(config, until=until, now=now, progress=self._show)
        except TrainingRunsError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(str(report))

    def _show(self, stage: str, share: float) -> None:
        """One line per finished stage, so that a log file stays readable."""
        if share >= 1:
            self.stdout.write(f"{stage}: done")
