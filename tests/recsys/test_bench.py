import json
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from events.importers import kuairand
from events.importers.batches import batches
from events.ingestion import ingest as take_in
from recsys.benchmarks import import_rows, ingest, scratch
from recsys.benchmarks.registry import BENCHMARKS
from recsys.benchmarks.results import Bar, Benchmark, Options, Result
from recsys.management.commands import bench


def tiny(options: Options) -> Result:
    """A benchmark whose one bar holds only when it is quick."""
    bar = Bar.at_least("apples per second", 5.0 if options.quick else 1.0, 3.0)
    return Result(
        "tiny", {"apples_per_s": bar.value}, ("figure", "measured", "limit"), [("apples/s", "5", "3")], (bar,)
    )


KNOWN = {"tiny": Benchmark("tiny", "counts apples", tiny)}


def measured(*, quick: bool, as_json: bool = False, as_list: bool = False) -> tuple[str, list[str]]:
    """What the command's inner part prints and which bars it finds broken."""
    out = StringIO()
    failed = bench.measure(
        ["tiny"], Options(quick), out, run=lambda name, asked: KNOWN[name].run(asked), as_json=as_json, as_list=as_list
    )
    return out.getvalue(), failed


def test_a_table_shows_the_limit_beside_the_figure() -> None:
    text, failed = measured(quick=True)
    assert failed == []
    [line] = [line for line in text.splitlines() if "apples/s" in line]
    assert [cell.strip() for cell in line.strip("│ ").split("│")] == ["apples/s", "5", "3"]
    assert "holds: apples per second 5, bar 3" in text


def test_json_is_exactly_one_object_of_the_promised_shape() -> None:
    text, _ = measured(quick=True, as_json=True)
    answer = json.loads(text)
    assert set(answer) == {"name", "machine", "figures", "bars"}
    assert set(answer["machine"]) == {"cores", "memory_gib", "python", "cpu"}
    assert answer["figures"] == {"apples_per_s": 5.0}
    assert answer["bars"] == [{"name": "apples per second", "value": 5.0, "bound": 3.0, "holds": True}]


def test_json_of_all_is_a_list() -> None:
    assert [entry["name"] for entry in json.loads(measured(quick=True, as_json=True, as_list=True)[0])] == ["tiny"]


def test_a_bar_that_does_not_hold_fails_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    text, failed = measured(quick=False)
    assert failed == ["apples per second is 1, bar 3"]
    assert "FAILS: apples per second 1, bar 3" in text
    monkeypatch.setattr(bench, "BENCHMARKS", KNOWN)
    monkeypatch.setattr(bench, "run_apart", lambda name, asked: KNOWN[name].run(asked))
    out = StringIO()
    with pytest.raises(CommandError, match="Below the bar: apples per second is 1, bar 3") as caught:
        call_command("bench", "tiny", "--json", stdout=out)
    assert caught.value.returncode == 1
    assert json.loads(out.getvalue())["bars"][0]["holds"] is False
    call_command("bench", "tiny", "--quick", stdout=out)


def test_the_list_names_every_benchmark() -> None:
    out = StringIO()
    call_command("bench", "--list", stdout=out)
    listed = [line.split()[0] for line in out.getvalue().splitlines()]
    assert listed == list(BENCHMARKS)
    assert {"ingest", "feed"} <= set(listed)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [([], "Name a benchmark"), (["nope"], "no benchmark 'nope'"), (["import", "--path", "/no/such"], "is no folder")],
)
def test_an_unclear_request_is_one_sentence(arguments: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        call_command("bench", *arguments, stdout=StringIO())


def test_a_result_survives_its_way_between_processes() -> None:
    result = tiny(Options())
    again = Result.from_json(json.loads(json.dumps(result.to_json())))
    assert again.bars == result.bars
    assert again.figures == result.figures


def databases() -> set[str]:
    parameters = connection.get_connection_params()
    wanted = {key: parameters[key] for key in ("dbname", "user", "password", "host", "port") if parameters.get(key)}
    with psycopg2.connect(**wanted) as server, server.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database")
        return {name for (name,) in cursor.fetchall()}


def fail_in_scratch_place(before: set[str]) -> None:
    """Look at a scratch place from inside, then end in an error."""
    with scratch.scratch_environment() as environment:
        [name] = databases() - before
        assert environment["DATABASE_URL"].rpartition("/")[2].partition("?")[0] == name
        with psycopg2.connect(environment["DATABASE_URL"]) as server, server.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            assert cursor.fetchone() == (0,)
        raise ZeroDivisionError


@pytest.mark.django_db
def test_a_server_that_ends_before_the_clearing_up_takes_no_result_with_it(
    monkeypatch: Any, tmp_path: Path, settings: Any
) -> None:
    settings.VAR_DIR = tmp_path
    say = scratch._say

    def and_then_the_line_breaks(options: Any, statement: Any) -> None:
        say(options, statement)
        if statement.seq[0].string.startswith("DROP"):
            raise psycopg2.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(scratch, "_say", and_then_the_line_breaks)
    with scratch.scratch_environment() as environment:
        result = environment["DATABASE_URL"]
    assert result


@pytest.mark.django_db
def test_the_scratch_place_is_new_and_gone_afterwards_even_after_an_error(tmp_path: Path, settings: Any) -> None:
    settings.VAR_DIR = tmp_path
    before = databases()
    with pytest.raises(ZeroDivisionError):
        fail_in_scratch_place(before)
    assert databases() == before
    assert list(tmp_path.iterdir()) == []


def test_the_synthetic_folder_is_one_the_importer_reads_without_a_bad_row(tmp_path: Path) -> None:
    found = [
        batch
        for file in kuairand.discover(import_rows.write_folder(tmp_path, scale=0.01)).files
        for batch in batches(file)
    ]
    assert sum(batch.records for batch in found) == 75 + 270 + 270 * 30 + 950
    assert [row for batch in found for row in batch.bad] == []


@pytest.mark.django_db
def test_the_synthetic_events_are_all_accepted() -> None:
    rng = import_rows.np.random.default_rng(1)
    report = take_in(ingest.make_events(rng, 200), now=ingest.NOW, source="bench")
    assert (report.accepted, report.rejected) == (200, ())
