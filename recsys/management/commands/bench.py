"""`manage.py bench <name> | --all | --list`: benchmarks, each beside its limit or peer.

It ends with status 1 when a bar does not hold. `--json` prints one object for one benchmark, a list with `--all`.
"""

import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import IO, Any, cast

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from recsys.benchmarks import machine
from recsys.benchmarks.quality import MODES
from recsys.benchmarks.quality_data import DATASETS
from recsys.benchmarks.registry import BENCHMARKS
from recsys.benchmarks.results import Options, Result
from recsys.benchmarks.scratch import BenchmarkFailedError, run_apart

LEAST_CONTENTS = 1_000
Runner = Callable[[str, Options], Result]


class Command(BaseCommand):
    help = "Run benchmarks on a scratch database; status 1 when a bar does not hold."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", help="a benchmark, see --list")
        parser.add_argument("--all", action="store_true", help="every benchmark")
        parser.add_argument("--list", action="store_true", help="only say which there are")
        parser.add_argument("--json", action="store_true", help="machine-readable output")
        parser.add_argument("--quick", action="store_true", help="smaller, under a minute each")
        folders = "import, exploration, retrieval, quality, incremental, ope: real data; content: clips, audio, images"
        parser.add_argument("--path", type=Path, help=folders)
        which = "retrieval, quality: what lies in --path, if that is unclear"
        parser.add_argument("--dataset", choices=DATASETS, help=which)
        day = "quality, incremental: the last day that is learned from"
        parser.add_argument("--train-until", type=_day, metavar="YYYY-MM-DD", help=day)
        parser.add_argument("--mode", choices=MODES, help="quality: labels dealt out anew; what came later dealt out")
        parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there too")

        parser.add_argument("--contents", type=int, help="feed, freshness: contents in the catalogue")

    def handle(self, *_args: Any, **options: Any) -> None:
        self.stdout.ending = ""
        output = cast(IO[str], self.stdout)
        if options["list"]:
            output.writelines(f"{benchmark.name:<10} {benchmark.what}\n" for benchmark in BENCHMARKS.values())
            return
        chosen = choose(options["name"], every=options["all"], known=tuple(BENCHMARKS))
        if options["path"] is not None and not (options["path"].is_dir() or chosen == ["quality"]):
            raise CommandError(f"{options['path']} is no folder.")
        if options["path"] is not None and not options["path"].exists():
            raise CommandError(f"{options['path']} does not exist.")
        if options["contents"] is not None and options["contents"] < LEAST_CONTENTS:
            raise CommandError(f"--contents must be at least {LEAST_CONTENTS:,}; got {options['contents']}.")
        asked = Options(
            options["quick"],
            options["path"],
            options["dataset"],
            options["train_until"],
            options["mode"],
            options["contents"],
        )
        failed = measure(
            chosen, asked, output, run=run_apart, as_json=options["json"], as_list=options["all"], file=options["out"]
        )
        if failed:
            raise CommandError(f"Below the bar: {', '.join(failed)}.", returncode=1)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"must be a day as 2022-04-29, got {text!r}") from error


def choose(name: str | None, *, every: bool, known: Sequence[str]) -> list[str]:
    """The names to run; one sentence when that is unclear."""
    if every:
        return list(known)
    if name is None:
        raise CommandError(f"Name a benchmark or say --all; there are {', '.join(known)}.")
    if name not in known:
        raise CommandError(f"There is no benchmark {name!r}; there are {', '.join(known)}.")
    return [name]


def measure(
    names: Sequence[str],
    options: Options,
    output: IO[str],
    *,
    run: Runner,
    as_json: bool,
    as_list: bool,
    file: Path | None = None,
) -> list[str]:
    """Run benchmarks one after another, print them, and return the bars that do not hold."""
    facts = machine.describe()
    results: list[Result] = []
    console = Console(file=output)
    if not as_json:
        console.print(f"{facts['cores']} cores, {facts['memory_gib']} GiB, Python {facts['python']}, {facts['cpu']}")
    for name in names:
        try:
            result = run(name, options)
        except BenchmarkFailedError as error:
            raise CommandError(str(error)) from error
        results.append(result)
        if not as_json:
            _print(result, console)
    objects = [as_object(result, facts) for result in results]
    text = json.dumps(objects if as_list else objects[0]) + "\n"
    if as_json:
        output.write(text)
    if file is not None:
        file.write_text(text)
    return [
        f"{bar.name} is {_short(bar.value)}, bar {_short(bar.bound)}"
        for r in results
        for bar in r.bars
        if not bar.holds
    ]


def as_object(result: Result, facts: dict[str, str | int | float]) -> dict[str, Any]:
    """The public JSON form of a result."""
    bars = [{"name": bar.name, "value": bar.value, "bound": bar.bound, "holds": bar.holds} for bar in result.bars]
    return {"name": result.name, "machine": facts, "figures": dict(result.figures), "bars": bars}


def _print(result: Result, console: Console) -> None:
    table = Table(*result.columns, title=result.name, title_justify="left")
    for row in result.rows:
        table.add_row(*row)
    console.print(table)
    for bar in result.bars:
        console.print(f"{'holds' if bar.holds else 'FAILS'}: {bar.name} {_short(bar.value)}, bar {_short(bar.bound)}")


def _short(value: float) -> str:
    """A figure with about three digits that count, and never in powers of ten."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
