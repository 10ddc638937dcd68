import gzip
import threading
from pathlib import Path

import pytest

from events.importers import batches as module
from events.importers.batches import Batch, batches, fingerprint, read_ahead
from events.importers.rows import SourceError, SourceFile, event_id, moment
from events.importers.text import delimited


def numbers(path: Path) -> SourceFile[list[str]]:
    """A file of numbers as likes at that many milliseconds."""

    def convert(record: list[str]) -> list[dict[str, object]]:
        return [{"event_id": event_id("t", "n", record[0], "like"), "timestamp": moment(int(record[0]))}]

    return SourceFile(path, delimited, convert)  # type: ignore[arg-type]


def written(path: Path, count: int, *, packed: bool = False) -> Path:
    text = "".join(f"{number}\n" for number in range(count)).encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_batches_cover_every_record_once_and_end_at_the_end_of_the_file(tmp_path: Path, packed: bool) -> None:
    path = written(tmp_path / "n", 25_000, packed=packed)
    found = list(batches(numbers(path)))
    assert [batch.records for batch in found] == [10_000, 10_000, 5_000]
    assert [line for batch in found for line in batch.lines] == list(range(1, 25_001))
    assert found[-1].position == path.stat().st_size


def test_skip_and_limit_count_records_from_the_beginning(tmp_path: Path) -> None:
    [batch] = batches(numbers(written(tmp_path / "n", 100)), skip=40, limit=50)
    assert batch.lines == list(range(41, 51))
    assert list(batches(numbers(written(tmp_path / "n", 100)), skip=50, limit=50)) == []


def test_reading_ahead_yields_the_same_batches(tmp_path: Path) -> None:
    source = numbers(written(tmp_path / "n", 35_000))
    assert [batch.lines for batch in read_ahead(source)] == [batch.lines for batch in batches(source)]


def test_a_damaged_file_gives_its_first_batches_and_then_one_sentence(tmp_path: Path) -> None:
    path = written(tmp_path / "n.gz", 200_000, packed=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    read: list[Batch] = []
    with pytest.raises(SourceError, match=r"n\.gz is damaged"):
        read.extend(read_ahead(numbers(path)))
    assert read
    assert {batch.records for batch in read} == {module.RECORDS_PER_BATCH}


def test_an_abandoned_reader_ends_its_thread(tmp_path: Path) -> None:
    stream = read_ahead(numbers(written(tmp_path / "n", 100_000)))
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name == "read n"]


def test_a_fingerprint_tells_files_and_mappings_apart(tmp_path: Path) -> None:
    path = written(tmp_path / "n", 10)
    first = fingerprint(path)
    assert fingerprint(path) == first
    assert fingerprint(path, "mapping") != first
    assert fingerprint(written(path, 11)) != first
