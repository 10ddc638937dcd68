from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from events import importing
from events.importers import jsonl, kuairand
from events.importing import ImportReport, ImportRunningError, ImportStep, import_rows
from events.models import Content, Event, EventId, ImportProgress, UserProfile
from tests.events.importers.folders import START_MS, kuairand_folder, log_row

NOW = datetime(2026, 11, 23, 20, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def stored() -> list[tuple[Any, ...]]:
    """The whole log, the catalogue and the profiles, in a comparable form."""
    events = Event.objects.order_by("event_id").values_list("event_id", "event_type", "user_id", "additional_info")
    contents = Content.objects.order_by("content_id").values_list("content_id", "creator_id", "status")
    users = UserProfile.objects.order_by("user_id").values_list("user_id", "demographics")
    return [*events, *contents, *users]


def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("events.importers.batches.RECORDS_PER_BATCH", 10)


def hundred_rows(tmp_path: Path) -> Path:
    rows = [log_row(str(number), time_ms=START_MS + number, flags="like" if number % 3 else "") for number in range(95)]
    return kuairand_folder(tmp_path, [*rows, *rows[:5]])


def test_rows_arrive_in_log_catalogue_and_profiles(tmp_path: Path) -> None:
    history = [f"712,0,1,1,0,1,{START_MS - 10**6}"]
    folder = kuairand_folder(tmp_path, [log_row(play_ms=12_000, flags="like"), log_row("9", "1", play_ms=0)], history)
    report = import_rows(kuairand.discover(folder), now=NOW)
    assert report == ImportReport(rows=7, contents=2, profiles=2, events=7)
    log = Event.objects.order_by("timestamp", "user_id").values_list("event_type", "user_id", "content_id")
    assert list(log) == [
        ("impression", "712", "1"),
        ("view", "712", "1"),
        ("impression", "712", "5239"),
        ("impression", "9", "1"),
        ("view", "712", "5239"),
        ("complete_view", "712", "5239"),
        ("like", "712", "5239"),
    ]
    view = Event.objects.get(event_type="view", content_id="5239")
    assert view.additional_info == {"watch_duration": 12.0, "long_view": False, "surface": "tab-1"}
    assert view.received_at == NOW
    assert UserProfile.objects.get(user_id="712").demographics["fans_user_num"] == 150
    assert Content.objects.get(content_id="5239").duration_s == 10.0


def test_importing_twice_changes_nothing(tmp_path: Path) -> None:
    dataset = kuairand.discover(hundred_rows(tmp_path))
    first = import_rows(dataset, now=NOW)
    before = stored()
    again = import_rows(dataset, now=NOW)
    assert again == ImportReport(skipped=first.rows)
    # Also without the note of it, for example from a file that grew.
    ImportProgress.objects.all().delete()
    anew = import_rows(dataset, now=NOW)
    assert (anew.events, anew.duplicates) == (0, first.events + first.duplicates)
    assert stored() == before


def test_a_row_listed_twice_is_stored_once_and_counted(tmp_path: Path) -> None:
    report = import_rows(kuairand.discover(hundred_rows(tmp_path)), now=NOW)
    # 95 impressions with a view each, 63 of them liked; the five rows listed twice hold three likes.
    assert (report.events, report.duplicates) == (95 * 2 + 63, 5 * 2 + 3)


class KilledError(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_killed_import_continues_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    small_batches(monkeypatch)
    dataset = kuairand.discover(hundred_rows(tmp_path))
    whole = import_rows(dataset, now=NOW)
    expected = stored()
    for table in (Event, EventId, Content, UserProfile, ImportProgress):
        table.objects.all().delete()

    original: Callable[..., Any] = importing.ingest
    calls = 0

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 6 and where == "before":
            raise KilledError
        answer = original(*args, **kwargs)
        if calls == 6:
            raise KilledError  # The events of the batch are written, the note of it is not, nothing is committed.
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(importing, "ingest", dying)
        with pytest.raises(KilledError):
            import_rows(dataset, now=NOW)
    assert 0 < len(stored()) < len(expected)
    rest = import_rows(dataset, now=NOW)
    assert 0 < rest.skipped < whole.rows
    assert rest.rows + rest.skipped == whole.rows
    assert stored() == expected


def test_bad_rows_are_told_once_each_and_stop_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_batches(monkeypatch)
    rows = [log_row(str(number), time_ms=START_MS + number) for number in range(30)]
    rows[11] = log_row("11", time_ms="soon")
    rows[12] = log_row(" ", flags="like")
    steps: list[ImportStep] = []
    report = import_rows(kuairand.discover(kuairand_folder(tmp_path, rows)), now=NOW, progress=steps.append)
    bad = {row.line: row.reason for step in steps for row in step.bad}
    assert bad == {
        13: "time_ms is no integer: 'soon'",
        14: "invalid_value: user_id: must not be blank; got ' '",
    }
    assert (report.bad_rows, report.rows) == (2, 34)
    assert Event.objects.filter(event_type="impression").count() == 28


def test_progress_covers_every_row_and_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_batches(monkeypatch)
    steps: list[ImportStep] = []
    report = import_rows(kuairand.discover(hundred_rows(tmp_path)), now=NOW, progress=steps.append)
    assert sum(step.rows for step in steps) == report.rows == 104
    assert steps[-1].position == steps[-1].size
    assert [step.file for step in steps if step.rows == 0] == [
        "video_features_basic_tiny.csv",
        "user_features_tiny.csv",
        "log_standard_tiny.csv",
    ]


def test_a_limited_import_goes_on_where_the_limit_was(tmp_path: Path) -> None:
    dataset = kuairand.discover(hundred_rows(tmp_path))
    assert import_rows(dataset, now=NOW, limit=20).rows == 2 + 2 + 20
    assert import_rows(dataset, now=NOW, limit=20).rows == 0
    assert import_rows(dataset, now=NOW).rows == 80


def test_a_second_import_of_the_same_file_at_the_same_time_is_stopped(tmp_path: Path) -> None:
    dataset = kuairand.discover(hundred_rows(tmp_path))

    def overtake(step: ImportStep) -> None:
        if step.file.startswith("log") and step.rows == 0:
            ImportProgress.objects.update(rows_done=50)

    with pytest.raises(ImportRunningError, match=r"log_standard_tiny\.csv is being imported by another process"):
        import_rows(dataset, now=NOW, progress=overtake)
    assert Event.objects.count() == 0


def test_a_moderated_content_stays_so_when_its_catalogue_is_imported_again(tmp_path: Path) -> None:
    dataset = kuairand.discover(hundred_rows(tmp_path))
    import_rows(dataset, now=NOW)
    Content.objects.filter(content_id="1").update(status="removed")
    ImportProgress.objects.all().delete()
    import_rows(dataset, now=NOW)
    assert Content.objects.get(content_id="1").status == "removed"


def test_events_of_old_logs_are_welcome(tmp_path: Path) -> None:
    path = tmp_path / "old.jsonl"
    path.write_text(
        '{"event_type":"view","user_id":"u","content_id":"c","timestamp":"1997-12-04T00:00:00Z","long_view":true}'
    )
    assert import_rows(jsonl.discover(path), now=NOW).events == 1
