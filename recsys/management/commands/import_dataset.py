"""`manage.py import_dataset <format> <path>`: a foreign data set into the catalogue and the log, then into the feed.

The formats and what they make of a row are described in `events.importers`. The import continues where a killed run
ended. When the rows are in, the features are computed and a model is trained, so that the feed works for the new users
at once; `--no-train` leaves that to the schedule.
"""

import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import ProgrammingError
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from events.importers import jsonl, kuairand, mapped, movielens
from events.importers.rows import BadRow, Dataset, SourceError
from events.importing import ImportReport, ImportRunningError, ImportStep, import_rows

DISCOVER: dict[str, Callable[[Path], Dataset]] = {
    "kuairand": kuairand.discover,
    "movielens": movielens.discover,
    "jsonl": jsonl.discover,
}
FORMATS = (*DISCOVER, "csv")
BAD_ROWS_SHOWN = 20


class Command(BaseCommand):
    help = "Imports a data set (kuairand, movielens, jsonl, csv) and makes the feed work for it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("format", choices=FORMATS)
        parser.add_argument("path", type=Path, help="folder or file, plain or gzip")
        parser.add_argument("--map", type=Path, metavar="JSON", help="csv: the file that names the columns")
        parser.add_argument("--no-train", action="store_true", help="store the rows only")
        parser.add_argument("--limit-rows", type=_positive, metavar="N", help="read the first N rows of each file only")

    def handle(self, *_args: Any, **options: Any) -> None:
        # rich ends its own lines.
        self.stdout.ending = ""
        console = Console(file=cast(IO[str], self.stdout), soft_wrap=True)
        dataset = _discover(options["format"], options["path"], options["map"])
        errors_file = (
            settings.VAR_DIR / "imports" / f"{options['format']}-{options['path'].resolve().name}-errors.jsonl"
        )
        if settings.EMBEDDED:
            # The command may be the first thing ever run on a clone; a server of one's own is migrated by its owner.
            call_command("migrate", interactive=False, verbosity=0)
        try:
            with ImportDisplay(console, errors_file) as display:
                report = import_rows(dataset, now=timezone.now(), progress=display.step, limit=options["limit_rows"])
        except (SourceError, ImportRunningError) as error:
            raise CommandError(str(error)) from error
        except ProgrammingError as error:
            raise CommandError(f"The tables are missing, run `manage.py migrate` first: {error}") from error
        except KeyboardInterrupt as error:
            raise CommandError("Interrupted; the same command continues from here.", returncode=130) from error
        _summarise(report, console, errors_file)
        if report.rows and report.rows == report.bad_rows:
            raise CommandError(f"None of the {report.rows:,} rows could be imported; the reasons are in {errors_file}.")
        if not options["no_train"]:
            _bring_into_feed(console, now=timezone.now(), changed=report.rows > 0)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"must be a positive integer, got {text!r}")
    return int(text)


def _discover(form: str, path: Path, map_file: Path | None) -> Dataset:
    """The data set at a path; one sentence when there is none."""
    if not path.exists():
        raise CommandError(f"{path} does not exist.")
    if map_file is not None and form != "csv":
        raise CommandError(f"--map belongs to csv; {form} knows its own columns.")
    try:
        if form == "csv":
            return mapped.discover(path, _mapping(map_file))
        return DISCOVER[form](path)
    except SourceError as error:
        raise CommandError(str(error)) from error


def _mapping(map_file: Path | None) -> Mapping[str, Any] | None:
    if map_file is None:
        return None
    try:
        mapping = json.loads(map_file.read_text("utf-8"))
    except OSError as error:
        raise CommandError(f"{map_file} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise CommandError(f"{map_file} is no JSON: {error}.") from error
    if not isinstance(mapping, dict):
        raise CommandError(f"{map_file} must hold one JSON object, got {type(mapping).__name__}.")
    return mapping


class ImportDisplay:
    """A progress bar per file; writes every bad row to a file and shows the first ones.

    The file is started anew with a new import and continued with a continued one.
    """

    def __init__(self, console: Console, errors_file: Path) -> None:
        self._errors_file = errors_file
        self._errors: IO[str] | None = None
        self._shown = 0
        self._task: TaskID | None = None
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[rows]:>9,} rows"),
            RowsPerSecond(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(),
            console=console,
        )
        self._stack = ExitStack()

    def __enter__(self) -> "ImportDisplay":
        self._stack.enter_context(self._progress)
        return self

    def __exit__(self, *exc: object) -> None:
        self._finish_file()
        self._stack.close()

    def step(self, step: ImportStep) -> None:
        """Show one step of the import."""
        if self._errors is None:
            self._errors_file.parent.mkdir(parents=True, exist_ok=True)
            mode = "a" if step.skipped else "w"
            self._errors = self._stack.enter_context(self._errors_file.open(mode, encoding="utf-8"))
        if step.rows == 0:
            self._finish_file()
            self._task = self._progress.add_task(step.file, total=step.size, rows=0)
            if step.skipped:
                self._progress.console.print(f"{step.file}: {step.skipped:,} rows are imported already", markup=False)
            return
        assert self._task is not None  # every file announces itself with an empty step
        rows = self._progress.tasks[self._task].fields["rows"] + step.rows
        self._progress.update(self._task, completed=step.position, rows=rows)
        for bad in step.bad:
            self._record(bad, self._errors)

    def _finish_file(self) -> None:
        """Stop the clock of the file before; a file without new rows leaves no bar behind."""
        if self._task is not None:
            self._progress.stop_task(self._task)
            self._progress.update(self._task, visible=self._progress.tasks[self._task].fields["rows"] > 0)

    def _record(self, bad: BadRow, errors: IO[str]) -> None:
        errors.write(json.dumps({"file": bad.file, "line": bad.line, "reason": bad.reason}) + "\n")
        errors.flush()
        self._shown += 1
        if self._shown <= BAD_ROWS_SHOWN:
            self._progress.console.print(f"{bad.file}:{bad.line}: {bad.reason}", markup=False, highlight=False)
        elif self._shown == BAD_ROWS_SHOWN + 1:
            self._progress.console.print(f"further bad rows go to {self._errors_file} only", markup=False)


class RowsPerSecond(ProgressColumn):
    """Source rows of the file stored per second so far."""

    def render(self, task: Task) -> Text:
        """The speed as text; empty before the first batch."""
        if not task.elapsed or not task.fields["rows"]:
            return Text("")
        return Text(f"{task.fields['rows'] / task.elapsed:,.0f} rows/s")


def _summarise(report: ImportReport, console: Console, errors_file: Path) -> None:
    console.print(
        f"{report.rows:,} rows read: {report.events:,} events, {report.contents:,} contents and "
        f"{report.profiles:,} profiles stored; {report.duplicates:,} duplicate events and {report.skipped:,} rows of "
        "earlier runs left alone."
    )
    if report.bad_rows:
        console.print(f"{report.bad_rows:,} bad rows, each with its reason in {errors_file}.", markup=False)


def _bring_into_feed(console: Console, *, now: datetime, changed: bool) -> None:
    """Compute features and train, so that the feed works for the imported users at once.

    Skipped when nothing was imported and a model serves; an import that was killed before its training still gets one.
    """
    # Storing rows must not wait for the learning packages to load.
    from features.materialize import materialize  # noqa: PLC0415
    from ranking.registry import champion_version  # noqa: PLC0415
    from ranking.training import TrainConfig, TrainingRunsError, train_and_promote  # noqa: PLC0415

    if not changed and champion_version() is not None:
        console.print("Nothing new to learn from; `manage.py train` trains anyway.")
        return
    stages: dict[str, TaskID] = {}
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), console=console
    ) as progress:

        def show(stage: str, done: float, total: float = 1) -> None:
            if stage not in stages:
                stages[stage] = progress.add_task(stage)
            progress.update(stages[stage], completed=done, total=max(total, 1))

        materialize(until=now, refit=True, progress=show)
        try:
            report = train_and_promote(TrainConfig(), until=now, now=now, progress=show)
        except TrainingRunsError as error:
            raise CommandError(f"The rows are stored, but {error}.") from error
    console.print(str(report), markup=False)
