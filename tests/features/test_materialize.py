import threading
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from events import windows
from events.catalogue import set_moderation_state
from events.models import Event
from events.queries import interactions_between
from features import materialize as module
from features import snapshot_files, store
from features.embeddings import behaviour
from features.embeddings.index import VectorIndex
from features.extraction import timeline
from features.extraction.definitions import COUNTER_COLUMN, COUNTERS
from features.materialize import materialize, refresh_snapshot
from features.models import ContentFeatures, ContentWindow, Embedding, PopulationWindow
from tests.features.clips import CLIPS, NOW, days_of_events, raw, register, send

CLIPS_ROW = {clip: row for row, clip in enumerate(sorted(CLIPS))}


def table(model):
    """All rows of a table, without the generated key, in a fixed order."""
    fields = [each.attname for each in model._meta.concrete_fields if each.attname != "id"]
    return sorted(model.objects.values_list(*fields), key=repr)


def files(folder: Path) -> dict[str, bytes]:
    """Every file of the snapshot that serves."""
    return {path.name: path.read_bytes() for path in snapshot_files.current(folder).iterdir()}


def tables():
    return table(ContentFeatures), table(ContentWindow), table(PopulationWindow)


def state_of_everything(folder: Path):
    return tables(), files(folder)


@pytest.fixture
def world(db, snapshots):
    """Clips and three days of events, not materialised."""
    register(CLIPS)
    send(days_of_events())
    return snapshots


def test_an_empty_installation_has_nothing_to_serve(db, snapshots):
    report = materialize(until=NOW)
    assert report.version is None
    assert store.snapshot() is None


def test_a_catalogue_without_events_is_served_with_zero_counters(db, snapshots):
    register(CLIPS)
    materialize(until=NOW)
    snapshot = store.snapshot()
    assert snapshot.content_id.tolist() == sorted(CLIPS)
    assert not snapshot.counters.any()
    assert snapshot.sequential is None
    assert snapshot.categories.tolist() == ["cells", "neon", "ocean"]


def test_the_snapshot_holds_what_the_log_says(world):
    materialize(until=NOW)
    snapshot, log = store.snapshot(), interactions_between(None, NOW)
    states = timeline(log, snapshot)
    assert snapshot.until == NOW.replace(minute=0).timestamp(), "complete hours only"
    (counters, receptions), *_ = states.at(np.array([snapshot.until]))
    assert np.array_equal(snapshot.counters, counters)
    assert np.array_equal(snapshot.receptions.watch_quantile, receptions.watch_quantile)
    assert snapshot.counters[:, COUNTER_COLUMN["exposures", "7d"]].sum() > 100


def test_what_happens_in_the_running_hour_is_popular_at_once_and_a_feature_when_the_hour_is_over(world):
    materialize(until=NOW)
    before = store.snapshot()
    send([raw("complete_view", f"fan-{number}", CLIPS[3], NOW) for number in range(20)], now=NOW + timedelta(minutes=1))
    materialize(until=NOW + timedelta(minutes=1))
    store.forget()
    running, row = store.snapshot(), CLIPS_ROW[CLIPS[3]]
    assert running.popularity[row] > before.popularity[row] + 10
    assert np.array_equal(running.counters, before.counters)
    report = materialize(until=NOW + timedelta(hours=1))
    assert report.windows == 1, "nothing new happened, but the hour is over"
    store.forget()
    assert store.snapshot().counters[row, COUNTER_COLUMN["completes", "1h"]] > 19
    assert store.snapshot().popularity[row] == pytest.approx(running.popularity[row], rel=0.05)


def test_running_twice_changes_nothing(world):
    first = materialize(until=NOW)
    before = state_of_everything(world)
    again = materialize(until=NOW)
    assert (again.windows, again.states, again.encoded, again.written) == (0, 0, 0, False)
    assert again.version == first.version
    assert state_of_everything(world) == before


def test_hour_by_hour_is_the_same_as_at_once(world, settings, tmp_path):
    for hours in range(75, -1, -5):
        materialize(until=NOW - timedelta(hours=hours, minutes=7 * hours % 60))
    materialize(until=NOW, refit=True)
    stepwise = state_of_everything(world)
    module.start_anew()
    settings.SNAPSHOT_DIR = tmp_path / "anew"
    materialize(until=NOW)
    rebuilt = state_of_everything(tmp_path / "anew")
    assert rebuilt[0] == stepwise[0]
    assert rebuilt[1] == stepwise[1]


def test_small_chunks_of_the_log_give_the_same_as_one(world, monkeypatch):
    materialize(until=NOW)
    whole = tables()
    module.start_anew()
    monkeypatch.setattr(module, "MAX_EVENTS_AT_ONCE", 37)
    materialize(until=NOW)
    assert tables() == whole


def test_a_late_event_is_taken_in_and_an_erased_one_is_forgotten(world):
    materialize(until=NOW)
    before = state_of_everything(world)
    late = raw("like", "late", CLIPS[0], NOW - timedelta(days=2))
    send([late])
    report = materialize(until=NOW)
    assert report.windows == 1, "the others are folded from what was counted of them"
    rows = ContentFeatures.objects.exclude(content_id=CLIPS[0])
    others = [row for row in before[0][0] if row[0] != CLIPS[0]]
    assert rows.count() == len(others), "and only for the content it is about"
    column = COUNTER_COLUMN["likes", "7d"]
    liked = store.snapshot
    store.forget()
    gained = liked().counters[CLIPS_ROW[CLIPS[0]], column]
    Event.objects.filter(event_id=late["event_id"]).delete()
    materialize(until=NOW)
    store.forget()
    assert gained - liked().counters[CLIPS_ROW[CLIPS[0]], column] == pytest.approx(2 ** (-2 / 7), abs=0.01)
    assert state_of_everything(world)[0] == before[0]


def test_an_earlier_until_never_takes_anything_back(world):
    materialize(until=NOW)
    before = state_of_everything(world)
    materialize(until=NOW - timedelta(days=1))
    assert state_of_everything(world) == before


def test_a_crash_between_chunks_is_made_good_by_the_next_run(world, monkeypatch):
    materialize(until=NOW)
    whole = tables()
    module.start_anew()
    monkeypatch.setattr(module, "MAX_EVENTS_AT_ONCE", 100)
    calls, real = [], module._take_in

    def failing(*args):
        calls.append(args)
        if len(calls) == 3:
            raise RuntimeError("the machine went away")
        return real(*args)

    monkeypatch.setattr(module, "_take_in", failing)
    with pytest.raises(RuntimeError, match="went away"):
        materialize(until=NOW)
    assert 0 < ContentWindow.objects.count() < len(whole[1])
    monkeypatch.setattr(module, "_take_in", real)
    materialize(until=NOW)
    assert tables() == whole


def test_a_log_that_ended_years_ago_keeps_its_popularity(db, snapshots):
    register(CLIPS)
    long_ago = days_of_events()
    send(long_ago)
    materialize(until=NOW)
    then = store.snapshot()
    store.forget()
    materialize(until=NOW + timedelta(days=1500))
    now = store.snapshot()
    assert now.popularity.max() > 1.0
    # The hour that was running is complete now, so all have faded by half an hour, and by nothing more.
    assert now.popularity == pytest.approx(then.popularity, rel=0.03)


def test_the_first_live_event_on_an_old_log_does_not_erase_it(db, snapshots):
    register(CLIPS)
    send(days_of_events())
    materialize(until=NOW + timedelta(hours=1))
    then = store.snapshot()
    store.forget()
    today = NOW + timedelta(days=1500)
    send([raw("like", "live", CLIPS[0], today)], now=today)
    materialize(until=today + timedelta(hours=1))
    column, others = COUNTER_COLUMN["exposures", "7d"], slice(1, None)
    now = store.snapshot()
    a_day_of_silence_and_the_hour = 2 ** (-25 / (7 * 24))
    expected = then.counters[:, column] * a_day_of_silence_and_the_hour
    assert now.counters[others, column] == pytest.approx(expected[others], rel=1e-6)


def test_the_first_upload_after_a_run_is_retrievable_without_new_events(transactional_db, snapshots):
    register(CLIPS)
    send(days_of_events(events=60))
    materialize(until=NOW)
    assert refresh_snapshot(until=NOW) is False
    register(["neon-99"])
    assert refresh_snapshot(until=NOW) is True
    store.forget()
    snapshot = store.snapshot()
    row = snapshot.row_of["neon-99"]
    rows, cosine = snapshot.index.search(np.array(snapshot.embedding[row]), 6)
    assert row in rows
    assert {snapshot.content_id[each].partition("-")[0] for each in rows} == {"neon"}
    assert cosine[0] == pytest.approx(1.0, abs=1e-5)
    assert refresh_snapshot(until=NOW) is False


def test_a_removed_clip_is_marked_in_the_next_snapshot(transactional_db, snapshots):
    register(CLIPS)
    materialize(until=NOW)
    set_moderation_state(CLIPS[3], status="removed")
    assert refresh_snapshot(until=NOW) is True
    store.forget()
    snapshot = store.snapshot()
    assert np.flatnonzero(~snapshot.active).tolist() == [snapshot.row_of[CLIPS[3]]]


def test_only_changed_texts_are_encoded_again(world):
    assert materialize(until=NOW).encoded == len(CLIPS)
    register([CLIPS[0]], caption="something about neon glow")
    report = materialize(until=NOW + timedelta(minutes=1))
    assert (report.encoded, report.fitted) == (1, ())
    changed = Embedding.objects.filter(content_id=CLIPS[0]).order_by("as_of")
    assert [row.vector for row in changed][-1] == pytest.approx(store.snapshot().embedding[CLIPS_ROW[CLIPS[0]]])
    assert Embedding.objects.count() == len(CLIPS) + 1


def test_encoder_and_sequential_model_are_learned_anew_when_the_world_grew(world):
    assert set(materialize(until=NOW).fitted) == {"encoder", "sequential"}
    register([f"fire-{number}" for number in range(9)])
    assert materialize(until=NOW).fitted == ("encoder",)
    send(days_of_events(events=200, seed=1))
    assert materialize(until=NOW).fitted == ("sequential",)
    assert set(materialize(until=NOW, refit=True).fitted) == {"encoder", "sequential"}


def test_the_sequential_model_follows_its_contents_to_new_rows(world):
    materialize(until=NOW)
    before = store.snapshot()
    store.forget()
    register(["aaa-first"])
    assert materialize(until=NOW).fitted == ()
    after = store.snapshot()
    assert after.row_of["aaa-first"] == 0
    liked = [before.row_of[clip] for clip in CLIPS[:3]]
    old, new = before.sequential.scores(np.array(liked)), after.sequential.scores(np.array(liked) + 1)
    assert np.array_equal(new[1:], old)
    assert new[0] == 0.0


def test_contents_beyond_the_sequential_model_have_vectors_of_their_own(world, monkeypatch):
    monkeypatch.setattr(behaviour, "MAX_ITEMS", 5)
    materialize(until=NOW)
    before = store.snapshot()
    assert len(before.sequential.items) == 5
    assert len(before.word_vectors.items) > 5
    store.forget()
    register(["aaa-first"])
    assert materialize(until=NOW).fitted == ()
    after = store.snapshot()
    row = int(before.word_vectors.items[-1])
    assert np.array_equal(
        after.word_vectors.scores(np.array([row + 1]))[1:], before.word_vectors.scores(np.array([row]))
    )
    store.forget()
    monkeypatch.undo()
    materialize(until=NOW, refit=True)
    assert store.snapshot().word_vectors is None, "with room for all, nothing needs them"


def test_the_index_is_made_again_only_when_an_embedding_changed(world, monkeypatch):
    materialize(until=NOW)
    built = []
    build = VectorIndex.build
    monkeypatch.setattr(VectorIndex, "build", lambda *a, **k: built.append(1) or build(*a, **k))
    send(days_of_events(events=30, seed=9))
    assert materialize(until=NOW).written
    assert built == []
    register(["aaa-first"])
    assert materialize(until=NOW).written
    assert built == [1]
    snapshot = store.snapshot()
    assert snapshot.index.search(np.array(snapshot.embedding[3]), 1)[1] == pytest.approx([1.0], abs=1e-5)


def test_a_damaged_snapshot_is_made_anew(world):
    materialize(until=NOW)
    good = files(world)
    (snapshot_files.current(world) / "counters.npy").write_bytes(b"nonsense")
    report = materialize(until=NOW)
    assert report.version
    assert files(world) == good
    assert store.snapshot().counters.any()


def test_events_that_are_no_content_s_still_fill_their_hour(db, snapshots):
    register(CLIPS)
    send([raw("follow", "u1", CLIPS[0], NOW - timedelta(hours=1), creator_id="by-0")])
    assert materialize(until=NOW).windows == 1
    assert materialize(until=NOW + timedelta(minutes=1)).windows == 0


def test_two_runs_at_once_end_like_one(transactional_db, snapshots):
    register(CLIPS)
    send(days_of_events(events=150))
    errors = []

    def run() -> None:
        try:
            materialize(until=NOW)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    together = state_of_everything(snapshots)
    module.start_anew()
    materialize(until=NOW)
    assert state_of_everything(snapshots) == together


def test_nothing_is_written_when_the_transaction_around_it_fails(world):
    def doomed() -> None:
        with transaction.atomic():
            materialize(until=NOW)
            raise RuntimeError("undo")

    with pytest.raises(RuntimeError, match="undo"):
        doomed()
    assert ContentFeatures.objects.count() == ContentWindow.objects.count() == 0
    report = materialize(until=NOW)
    assert report.states >= ContentFeatures.objects.count() > 0


def hours(*numbers, events=5):
    return [windows.Window(NOW.replace(hour=0, minute=0) + timedelta(hours=number), events) for number in numbers]


def cut(opened, max_events):
    return [[int((each.start - hours(0)[0].start) / timedelta(hours=1)) for each in run]
            for run in module.runs(opened, max_events=max_events)]  # fmt: skip


def test_hours_are_cut_into_runs_of_whole_days_if_they_fit():
    assert cut(hours(*range(22, 27)), 100) == [[22, 23, 24, 25, 26]]
    assert cut(hours(*range(22, 27)), 20) == [[22, 23], [24, 25, 26]]
    assert cut(hours(*range(5)), 10) == [[0, 1], [2, 3], [4]]
    assert cut([], 10) == []


def test_hours_far_from_each_other_are_read_apart():
    assert cut(hours(1, 3, 10, 30), 100) == [[1, 3], [10], [30]]


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)  # fmt: skip
@given(st.data())
def test_whatever_comes_late_or_goes_leaves_the_bytes_of_a_log_read_at_once(world, data):
    """Late, erased and repeated hours, in any order, with a store that follows along, against one that starts anew."""
    late = [raw("like", f"late-{number}", CLIPS[number], NOW - timedelta(hours=hours_ago)) for number, hours_ago in
            enumerate(data.draw(st.lists(st.integers(0, 400), max_size=4)))]  # fmt: skip
    with transaction.atomic():
        materialize(until=NOW - timedelta(hours=data.draw(st.integers(0, 60)), minutes=11))
        send(late)
        materialize(until=NOW - timedelta(minutes=data.draw(st.integers(0, 30))))
        start = NOW - timedelta(hours=data.draw(st.integers(0, 80)))
        module.backfill(start, start + timedelta(hours=data.draw(st.integers(1, 40))), until=NOW)
        if late and data.draw(st.booleans()):
            Event.objects.filter(event_id=late[0]["event_id"]).delete()
            materialize(until=NOW)
        followed = tables()
        module.start_anew()
        materialize(until=NOW)
        assert tables() == followed
        transaction.set_rollback(True)


def test_a_backfill_of_any_range_gives_the_same_bytes(world):
    materialize(until=NOW)
    before = state_of_everything(world)
    module.backfill(NOW - timedelta(hours=50), NOW - timedelta(hours=20), until=NOW)
    assert state_of_everything(world) == before


def test_counts_of_another_counter_set_are_made_anew(world, monkeypatch):
    materialize(until=NOW)
    whole = tables()
    ContentWindow.objects.update(counter_set="older")
    materialize(until=NOW)
    assert tables() == whole


def test_states_are_float32_rows_of_the_whole_counter_set(world):
    materialize(until=NOW)
    assert {len(vector) for vector in ContentFeatures.objects.values_list("vector", flat=True)} == {len(COUNTERS)}
