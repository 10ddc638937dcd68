from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from events.importers import mapped
from events.importers.batches import Batch, batches
from events.importers.rows import SourceError

MAPPING = {
    "user_id": "uid",
    "content_id": "iid",
    "timestamp": {"column": "ts", "unit": "ms"},
    "event_type": {"column": "action", "values": {"play": "view", "heart": "like", "noise": None}},
    "watch_duration": {"column": "played", "unit": "ms"},
    "surface": {"constant": "legacy"},
}
HEADER = "action,played,uid,iid,ts,extra"


def read(tmp_path: Path, *rows: str, header: str = HEADER, mapping: dict[str, Any] = MAPPING) -> Batch:
    path = tmp_path / "own.csv"
    path.write_text("\n".join([header, *rows]))
    [source] = mapped.discover(path, mapping).files
    [batch] = batches(source)
    return batch


def test_columns_units_values_and_constants_are_applied(tmp_path: Path) -> None:
    batch = read(tmp_path, "play,2500,u1,c1,1767225600000,x", "heart,,u1,c1,1767225601000,", "noise,1,u1,c1,0,")
    view, like = batch.events
    assert view == {
        "event_id": view["event_id"],
        "event_type": "view",
        "user_id": "u1",
        "content_id": "c1",
        "timestamp": datetime(2026, 1, 1, tzinfo=UTC),
        "watch_duration": 2.5,
        "surface": "legacy",
    }
    assert "watch_duration" not in like
    assert batch.bad == []


def test_another_delimiter_and_iso_times_are_understood(tmp_path: Path) -> None:
    mapping = {
        "user_id": "u",
        "timestamp": {"column": "t", "unit": "iso"},
        "event_type": {"constant": "like"},
        "delimiter": ";",
    }
    batch = read(tmp_path, "a;2026-01-01 01:00:00+01:00", "a;2026-01-01T00:00:00", "a;?", header="u;t", mapping=mapping)
    assert {event["timestamp"] for event in batch.events} == {datetime(2026, 1, 1, tzinfo=UTC)}
    assert batch.bad[0].reason == "timestamp is no RFC 3339 time: '?'"


def test_bad_cells_name_column_and_value(tmp_path: Path) -> None:
    batch = read(tmp_path, "dance,1,u,c,1,", "play,long,u,c,1,", "play,1,u,c,inf,", ",1,u,c,1,", "play,1,u")
    assert [bad.line for bad in batch.bad] == [2, 3, 4, 5, 6]
    reasons = [bad.reason for bad in batch.bad]
    assert reasons[0] == "event_type 'dance' is not among the mapping's values: play, heart, noise"
    assert reasons[1] == "watch_duration is no number: 'long'"
    assert reasons[2] == "timestamp is not finite: 'inf'"
    assert reasons[3] == "event_type is empty"
    assert reasons[4] == "has 3 cells where the header has 6"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"user_id": None}, "user_id must be a column name or an object, got None"),
        ({"typo": "x"}, "unknown entry 'typo'"),
        ({"timestamp": {"column": "ts", "unit": "weeks"}}, "timestamp unit must be one of s, ms, us, iso; got 'weeks'"),
        ({"timestamp": {"constant": 3}}, "timestamp cannot be the same for every row"),
        ({"event_type": {"constant": "dance"}}, "event_type must be one of .* got 'dance'"),
        ({"event_type": {"column": "action", "values": {"play": "dance"}}}, "got 'dance'"),
        ({"content_id": {"column": "iid", "unit": "s"}}, "content_id takes column or constant; got"),
        ({"content_id": "nowhere"}, "lacks the column nowhere; it has action, played"),
        ({"delimiter": "::"}, "delimiter must be one character, got '::'"),
    ],
)
def test_a_mapping_that_does_not_fit_is_one_clear_sentence(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SourceError, match=sentence):
        read(tmp_path, mapping={**MAPPING, **change})


def test_required_fields_and_the_mapping_itself_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="lacks timestamp, event_type"):
        read(tmp_path, mapping={"user_id": "uid"})
    with pytest.raises(SourceError, match="csv needs --map"):
        mapped.discover(tmp_path / "own.csv", None)
