from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from events.importers import kuairand
from events.importers.batches import Batch, batches
from events.importers.rows import SourceError
from tests.events.importers.folders import START_MS, kuairand_folder, log_row


def read(folder: Path, name: str) -> Batch:
    """All rows of the one file whose name begins so."""
    [source] = [file for file in kuairand.discover(folder).files if file.path.name.startswith(name)]
    [batch] = batches(source)
    return batch


def timed(batch: Batch) -> list[tuple[str, int]]:
    """Event types with their milliseconds after the start."""
    return [(event["event_type"], round(event["timestamp"].timestamp() * 1000) - START_MS) for event in batch.events]


def log_events(tmp_path: Path, *rows: str) -> Batch:
    return read(kuairand_folder(tmp_path, list(rows)), "log")


def test_a_partly_watched_impression_is_an_impression_and_a_view(tmp_path: Path) -> None:
    batch = log_events(tmp_path, log_row(play_ms=5_000, long_view=1, tab=4))
    assert timed(batch) == [("impression", 0), ("view", 5_000)]
    view = batch.events[1]
    assert (view["user_id"], view["content_id"], view["surface"]) == ("712", "5239", "tab-4")
    assert (view["watch_duration"], view["long_view"]) == (5.0, True)


def test_playing_to_the_end_completes_and_half_as_much_again_replays(tmp_path: Path) -> None:
    complete = log_events(tmp_path / "a", log_row(play_ms=15_000, duration_ms=10_000))
    assert [name for name, _ in timed(complete)] == ["impression", "view", "complete_view"]
    replayed = log_events(tmp_path / "b", log_row(play_ms=15_001, duration_ms=10_000))
    assert [name for name, _ in timed(replayed)] == ["impression", "view", "complete_view", "replay"]


def test_leaving_within_two_seconds_is_a_skip_unless_that_was_the_end(tmp_path: Path) -> None:
    left = log_events(tmp_path / "a", log_row(play_ms=1_999))
    assert timed(left) == [("impression", 0), ("view", 1_999), ("skip", 2_000)]
    assert left.events[2]["watch_duration"] == 1.999
    short = log_events(tmp_path / "b", log_row(play_ms=1_000, duration_ms=900))
    assert "skip" not in dict(timed(short))


def test_an_impression_that_never_played_is_no_skip(tmp_path: Path) -> None:
    assert timed(log_events(tmp_path, log_row(play_ms=0, tab=0))) == [("impression", 0)]


def test_deliberate_signals_follow_the_view(tmp_path: Path) -> None:
    batch = log_events(tmp_path, log_row(play_ms=3_000, flags="like follow comment forward hate"))
    names = [name for name, _ in timed(batch)]
    assert names == ["impression", "view", "like", "follow", "comment", "share", "hide"]
    assert min(at for name, at in timed(batch)[2:]) > 3_000
    assert batch.events[3]["creator_id"] == "77"


def test_a_forgotten_player_does_not_count_as_a_day_of_watching(tmp_path: Path) -> None:
    batch = log_events(tmp_path, log_row(play_ms=90_000_000))
    assert batch.events[1]["watch_duration"] == 3600.0


def test_a_row_listed_twice_has_the_same_event_ids(tmp_path: Path) -> None:
    batch = log_events(tmp_path, log_row(play_ms=5_000), log_row(play_ms=4_900, tab=2), log_row(video="1"))
    ids = [event["event_id"] for event in batch.events]
    assert ids[:2] == ids[2:4]
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (log_row(time_ms="soon"), "time_ms is no integer: 'soon'"),
        (log_row(time_ms=10**20), "outside the calendar"),
        (log_row(play_ms=-1), "play_time_ms is negative: -1"),
        (log_row(video="404", flags="follow"), "video '404' has no author_id"),
        ("712,5239", "has 2 cells where the header has 19"),
    ],
)
def test_a_bad_row_is_named_and_its_neighbours_are_read(tmp_path: Path, row: str, reason: str) -> None:
    batch = log_events(tmp_path, log_row(), row, log_row(user="9"))
    [bad] = batch.bad
    assert (bad.file, bad.line) == ("log_standard_tiny.csv", 3)
    assert reason in bad.reason
    assert {event["user_id"] for event in batch.events} == {"712", "9"}
    assert batch.records == 3


def test_history_is_spread_backwards_from_the_last_time_in_even_steps(tmp_path: Path) -> None:
    rows = [f"9,{pos},{video},{long},{like},92,{START_MS}" for pos, video, long, like in [(90, 1, 0, 0), (91, 2, 1, 1)]]
    batch = read(kuairand_folder(tmp_path, [log_row()], rows), "history")
    assert timed(batch) == [("impression", -60_000), ("impression", 0), ("view", 1), ("like", 2)]
    view: dict[str, Any] = batch.events[2]
    assert view["long_view"] is True
    assert "watch_duration" not in view
    assert all(event["time_estimated"] for event in batch.events)


def test_videos_become_contents(tmp_path: Path) -> None:
    first, second = read(kuairand_folder(tmp_path, [log_row()]), "video").contents
    assert (first.content_id, first.creator_id, first.duration_s) == ("5239", "77", 10.0)
    # Midnight in Beijing.
    assert first.upload_timestamp == datetime(2022, 4, 9, 16, tzinfo=UTC)
    tagged = {"tags": ["tag-39", "tag-12"], "category": "tag-39", "video_type": "NORMAL", "music_id": "915"}
    assert first.metadata == tagged
    assert (second.duration_s, second.metadata) == (None, {"tags": [], "video_type": "AD"})


def test_users_keep_what_is_known_of_them(tmp_path: Path) -> None:
    first, second = read(kuairand_folder(tmp_path, [log_row()]), "user").profiles
    assert first.demographics == {"user_active_degree": "full_active", "fans_user_num": 150}
    assert second.demographics == {"is_live_streamer": 1, "fans_user_num": 2.5}


def test_statistics_of_the_future_are_not_read(tmp_path: Path) -> None:
    folder = kuairand_folder(tmp_path, [log_row()])
    (folder / "video_features_statistic_tiny.csv").write_text("video_id,counts\n1,2\n")
    assert all("statistic" not in file.path.name for file in kuairand.discover(folder).files)


def test_a_folder_without_a_log_or_with_wrong_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no KuaiRand folder"):
        kuairand.discover(tmp_path)
    folder = kuairand_folder(tmp_path / "b", [])
    (folder / "log_standard_tiny.csv").write_text("user_id,video_id\n")
    with pytest.raises(SourceError, match="lacks the columns time_ms, play_time_ms"):
        kuairand.discover(folder)


def test_a_stray_quotation_mark_costs_its_own_row_only(tmp_path: Path) -> None:
    good = log_row()
    batch = log_events(tmp_path, good, '"' + good, good, good)
    assert batch.records == 4
    [bad] = batch.bad
    assert bad.line == 3
