"""Fill an empty installation with the demo: clips one can watch and a month of people who watched them.

Everything goes through the same services as real data (`events.catalogue`, `events.ingestion`). Running it again adds
nothing. The database gets the whole world or none of it; clips that were finished before an interruption are kept.
"""

from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from events.catalogue import NewContent, NewProfile, register_contents, update_profiles
from events.ingestion import ingest
from events.queries import catalogue_table
from recsys.demo.captions import describe
from recsys.demo.clips import ClipEncodingError, build, clip_path, thumbnail_path
from recsys.demo.population import Population
from recsys.demo.scenario import Scenario
from recsys.demo.world import Trace, raw_events

_FOLDER = "demo"


class Command(BaseCommand):
    help = "Make the demo clips and write a simulated month of events for them. Running it again adds nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        plain = Scenario()
        parser.add_argument("--users", type=int, default=plain.users, help="simulated users (default: %(default)s)")
        parser.add_argument("--days", type=int, default=plain.days, help="days before now (default: %(default)s)")
        parser.add_argument("--seed", type=int, default=plain.seed, help="decides the world (default: %(default)s)")
        parser.add_argument(
            "--variants",
            type=int,
            default=plain.variants,
            help="clips of each of the four families (default: %(default)s)",
        )
        parser.add_argument(
            "--clips-only", action="store_true", help="make the clips and write nothing to the database"
        )

    def handle(self, **options: Any) -> None:
        self._console = Console(quiet=options["verbosity"] == 0)
        started = perf_counter()
        try:
            scenario = Scenario(options["seed"], options["users"], options["days"], options["variants"])
            made = self._make_clips(scenario)
            if options["clips_only"]:
                self.stdout.write(f"{made} clips made, {len(scenario.specs()) - made} were there.")
                return
            ending = scenario.ending_of(_upload_times())
        except (ValueError, ClipEncodingError, OSError) as error:
            raise CommandError(f"seed_demo: {error}") from error
        until = ending or timezone.now().replace(microsecond=0)
        trace = scenario.play(until=until)
        # One transaction: `up` seeds when there is no content, so contents without their events would stay half a demo.
        with transaction.atomic():
            contents = _register(scenario, until)
            users = _introduce(trace.population)
            accepted, duplicates = self._write_events(trace, scenario.namespace)
        self.stdout.write(
            f"Demo world of {scenario.days} days until {until:%Y-%m-%d %H:%M} UTC: {made} clips made, "
            f"{contents} contents, {users} users and {accepted} events added, {duplicates} events were known. "
            f"{perf_counter() - started:.0f} s."
        )

    def _make_clips(self, scenario: Scenario) -> int:
        chosen = scenario.specs()
        with self._progress() as progress:
            bar = progress.add_task("Demo clips", total=len(chosen))
            return build(_folder(), chosen=chosen, on_done=lambda _: progress.advance(bar))

    def _write_events(self, trace: Trace, namespace: str) -> tuple[int, int]:
        accepted = duplicates = 0
        with self._progress() as progress:
            bar = progress.add_task("Demo events", total=len(trace))
            for batch in raw_events(trace, namespace=namespace):
                report = ingest(batch, now=timezone.now(), source="demo", historical=True)
                if report.rejected:
                    first = report.rejected[0]
                    raise CommandError(
                        f"seed_demo: event {batch[first.index]} was refused: {first.code}: {first.detail}"
                    )
                accepted += report.accepted
                duplicates += report.duplicates
                progress.advance(bar, len(batch))
        return accepted, duplicates

    def _progress(self) -> Progress:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        return Progress(*columns, console=self._console)


def _folder() -> Path:
    return Path(settings.MEDIA_ROOT) / _FOLDER


def _upload_times() -> dict[str, float]:
    table = catalogue_table()
    return dict(zip(table.content_id.tolist(), table.upload_timestamp.tolist(), strict=True))


def _register(scenario: Scenario, until: datetime) -> int:
    """Put the clips into the catalogue; one that is there already keeps what was changed about it since."""
    base, folder = f"{settings.MEDIA_URL.rstrip('/')}/{_FOLDER}", _folder()
    contents = []
    for spec, clip in zip(scenario.specs(), scenario.clips(until=until), strict=True):
        text = describe(spec.family, spec.variant)
        contents.append(
            NewContent(
                content_id=clip.content_id,
                creator_id=clip.creator_id,
                upload_timestamp=datetime.fromtimestamp(clip.uploaded_s, UTC),
                metadata={"caption": text.caption, "tags": list(text.tags), "category": text.category},
                duration_s=clip.duration_s,
                language=text.language,
                media_url=f"{base}/{clip_path(folder, spec).name}",
                thumbnail_url=f"{base}/{thumbnail_path(folder, spec).name}",
            )
        )
    return register_contents(contents, keep_known=True)


def _introduce(population: Population) -> int:
    return update_profiles(
        NewProfile(user_id, population.demographics(user), population.preferences(user))
        for user, user_id in enumerate(population.user_ids)
    )
