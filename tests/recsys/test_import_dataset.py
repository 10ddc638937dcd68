import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from events.models import Event
from tests.events.importers.folders import START_MS, kuairand_folder, log_row

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def var_dir(tmp_path: Path, settings: Any) -> Path:
    settings.VAR_DIR = tmp_path / "var"
    settings.SNAPSHOT_DIR = tmp_path / "var" / "snapshots"
    settings.MODEL_DIR = tmp_path / "var" / "models"
    return tmp_path / "var"


def run(*arguments: object) -> str:
    """What the command prints."""
    out = StringIO()
    call_command("import_dataset", *map(str, arguments), "--no-train", stdout=out)
    return out.getvalue()


def test_an_import_says_what_it_stored_and_a_second_one_that_nothing_was_left(tmp_path: Path) -> None:
    folder = kuairand_folder(tmp_path / "k", [log_row(flags="like"), log_row("9")])
    first = run("kuairand", folder)
    assert "6 rows read: 5 events, 2 contents and 2 profiles stored" in first
    assert "log_standard_tiny.csv" in first
    assert "rows/s" in first
    second = run("kuairand", folder)
    assert "log_standard_tiny.csv: 2 rows are imported already" in second
    assert "0 rows read: 0 events" in second
    assert Event.objects.count() == 5


def test_bad_rows_are_shown_up_to_twenty_and_all_written_down(tmp_path: Path, var_dir: Path) -> None:
    rows = [log_row(time_ms=f"bad-{number}") for number in range(30)] + [log_row(time_ms=START_MS)]
    folder = kuairand_folder(tmp_path / "k", rows)
    out = run("kuairand", folder)
    assert "log_standard_tiny.csv:2: time_ms is no integer: 'bad-0'" in out
    assert "bad-19" in out
    assert "bad-20" not in out
    assert "30 bad rows, each with its reason in" in out
    written = [json.loads(line) for line in (var_dir / "imports" / "kuairand-k-errors.jsonl").read_text().splitlines()]
    assert [row["line"] for row in written] == list(range(2, 32))
    assert written[29]["reason"] == "time_ms is no integer: 'bad-29'"
    assert Event.objects.count() == 2


def test_a_csv_is_read_through_its_mapping(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("u,i,t\na,b,1767225600\n")
    mapping = {"user_id": "u", "content_id": "i", "timestamp": "t", "event_type": {"constant": "save"}}
    (tmp_path / "map.json").write_text(json.dumps(mapping))
    assert "1 events" in run("csv", tmp_path / "own.csv", "--map", tmp_path / "map.json")
    assert Event.objects.get().event_type == "save"


def test_limit_rows_reads_the_first_rows_only(tmp_path: Path) -> None:
    folder = kuairand_folder(tmp_path / "k", [log_row(str(number), play_ms=0) for number in range(10)])
    run("kuairand", folder, "--limit-rows", 3)
    assert Event.objects.count() == 3


def test_without_no_train_the_features_are_ready_and_too_little_to_learn_from_is_said(
    tmp_path: Path, var_dir: Path
) -> None:
    folder = kuairand_folder(tmp_path / "k", [log_row(flags="like"), log_row("9")])
    with (folder / "video_features_basic_tiny.csv").open("a") as videos:
        videos.writelines(f"{number},88,AD,2022-04-09,Web,0.0,,1,1,0,,{number}\n" for number in range(2, 6))
    out = StringIO()
    call_command("import_dataset", "kuairand", str(folder), stdout=out)
    assert "no model: " in out.getvalue()
    assert (var_dir / "snapshots" / "CURRENT").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["kuairand", "{tmp}/nowhere"], "nowhere does not exist."),
        (["kuairand", "{tmp}"], "is no KuaiRand folder: it has no log_standard_*.csv."),
        (["movielens", "{tmp}"], "has neither *.inter nor ratings.dat nor ratings.csv."),
        (["jsonl", "{tmp}"], "is no file; jsonl takes one file, plain or gzip."),
        (["csv", "{tmp}/own.csv"], "csv needs --map"),
        (["csv", "{tmp}/own.csv", "--map", "{tmp}/nowhere"], "cannot be read: No such file or directory."),
        (["csv", "{tmp}/own.csv", "--map", "{tmp}/own.csv"], "own.csv is no JSON"),
        (["csv", "{tmp}/own.csv", "--map", "{tmp}/list.json"], "must hold one JSON object, got list."),
        (["jsonl", "{tmp}/own.csv", "--map", "{tmp}/list.json"], "--map belongs to csv"),
        (["jsonl", "{tmp}/own.csv"], "None of the 2 rows could be imported"),
        (["jsonl", "{tmp}/own.csv", "--limit-rows", "0"], "must be a positive integer, got '0'"),
    ],
)
def test_what_cannot_be_imported_ends_in_one_clear_sentence(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    (tmp_path / "own.csv").write_text("a,b\n1,2\n")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(CommandError) as caught:
        run(*[argument.format(tmp=tmp_path) for argument in arguments])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
