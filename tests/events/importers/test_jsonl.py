import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from events.importers import jsonl
from events.importers.batches import Batch, batches

LIKE = {"event_type": "like", "user_id": "u", "content_id": "c", "timestamp": "2026-01-01T00:00:00Z"}

CONTENT = {"kind": "content", "content_id": "c", "creator_id": "m", "upload_timestamp": "2026-01-01T00:00:00Z"}


def read(tmp_path: Path, *lines: Any) -> Batch:
    """Lines, given as text or as objects, through the reader."""
    path = tmp_path / "own.jsonl"
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    [source] = jsonl.discover(path).files
    [batch] = batches(source)
    return batch


def test_each_kind_becomes_its_row(tmp_path: Path) -> None:
    content = {"kind": "content", "content_id": "c", "creator_id": "m", "upload_timestamp": "2026-01-01T02:00:00+02:00"}
    user = {"kind": "user", "user_id": "u", "preferences": {"quiet": True}}
    batch = read(tmp_path, content, user, {"kind": "event", **LIKE}, "", LIKE)
    assert batch.contents[0].upload_timestamp == datetime(2026, 1, 1, tzinfo=UTC)
    assert batch.profiles[0].preferences == {"quiet": True}
    assert [event["event_type"] for event in batch.events] == ["like", "like"]
    assert (batch.records, batch.bad) == (4, [])


@pytest.mark.parametrize("odd", [["quiet"], "quiet", 7, None])
def test_a_user_whose_preferences_are_no_object_is_refused(tmp_path: Path, odd: object) -> None:
    batch = read(tmp_path, {"kind": "user", "user_id": "u", "preferences": odd})
    assert batch.profiles == []
    assert "preferences" in str(batch.bad[0])


def test_a_given_event_id_stays_and_a_missing_one_follows_from_the_event(tmp_path: Path) -> None:
    given = {**LIKE, "event_id": "3b241101-e2bb-4255-8caf-4136c566a962"}
    reordered = dict(reversed(LIKE.items()))
    ids = [event["event_id"] for event in read(tmp_path, given, LIKE, reordered, {**LIKE, "user_id": "v"}).events]
    assert ids[0] == given["event_id"]
    assert ids[1] == ids[2] != ids[3]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{broken", "not readable as JSON"),
        ("[" * 20_000, "not readable as JSON"),
        ('"\udcff"', "not readable as JSON"),
        ("[1]", "expected a JSON object, got list"),
        ({"kind": "clip"}, "kind must be event, content or user, got 'clip'"),
        ({"kind": "user"}, "user_id"),
        ({"kind": "user", "user_id": "u", "age": 3}, "age"),
        ({"kind": "user", "user_id": "a\x00b"}, "control characters"),
        ({"kind": "user", "user_id": ""}, "1 to 200 characters"),
        ({**CONTENT, "upload_timestamp": "2026-01-01T00:00:00"}, "no time zone"),
        (
            {**CONTENT, "duration_s": 0},
            "positive number of seconds: 0",
        ),
        (
            {**CONTENT, "status": "gone"},
            "status must be one of active, hidden, removed: 'gone'",
        ),
    ],
)
def test_a_bad_line_is_named_and_the_next_one_read(tmp_path: Path, line: Any, reason: str) -> None:
    batch = read(tmp_path, line, LIKE)
    [bad] = batch.bad
    assert bad.line == 1
    assert reason in bad.reason
    assert len(batch.events) == 1


def test_a_content_may_end_and_be_described_beside_its_metadata(tmp_path: Path) -> None:
    told = {"expires_at": "2027-01-01T02:00:00+02:00", "title": "Low tide", "description": "Last light",
            "tags": ["sea"], "category": "ocean", "sensitive": True,
            "metadata": {"caption": "old", "mood": "calm"}}  # fmt: skip
    [row] = read(tmp_path, {**CONTENT, **told}).contents
    assert row.expires_at == datetime(2027, 1, 1, tzinfo=UTC)
    assert row.metadata == {
        "title": "Low tide", "caption": "Last light", "tags": ["sea"], "category": "ocean", "sensitive": True,
        "mood": "calm",
    }  # fmt: skip
    bad = read(tmp_path, {**CONTENT, "expires_at": "2027-01-01T02:00:00"}, {**CONTENT, "tags": "sea"}).bad
    assert "expires_at has no time zone" in str(bad[0])
    assert "tags" in str(bad[1])
