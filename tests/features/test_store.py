import json
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from events.models import Content
from events.queries import interactions_between
from features import hiding, snapshot_files, store
from features.extraction import timeline
from features.extraction.aggregates import NEVER
from features.materialize import materialize
from features.models import ContentFeatures, Embedding
from tests.features.clips import CLIPS, NOW, days_of_events, register, send


@pytest.fixture
def filled(db, snapshots):
    """Three days of events, materialised."""
    register(CLIPS)
    send(days_of_events())
    materialize(until=NOW)
    return snapshots


def test_as_of_never_answers_with_a_value_from_after_the_moment(filled):
    rng = np.random.default_rng(0)
    moments = [NOW - timedelta(seconds=float(each)) for each in rng.uniform(0, 4 * 86_400, 200)]
    clips = [CLIPS[each] for each in rng.integers(0, len(CLIPS), 200)]
    states = store.as_of(clips, moments)
    asked = np.array([moment.timestamp() for moment in moments])
    assert (states.as_of <= asked).all()
    assert ((asked - states.as_of)[states.as_of > NEVER] < 2 * 86_400).all()
    snapshot = store.snapshot()
    log = interactions_between(None, NOW)
    for at, (clip, moment) in enumerate(zip(clips, asked, strict=True)):
        of_clip = log.timestamp[(log.content == log.contents.tolist().index(clip))]
        complete = of_clip[of_clip < moment // 3600 * 3600]
        assert states.as_of[at] == ((complete.max() // 3600 + 1) * 3600 if len(complete) else NEVER)
    assert len(snapshot) == len(CLIPS)


def test_as_of_is_what_training_folds_from_the_log(filled):
    snapshot = store.snapshot()
    states = timeline(interactions_between(None, NOW), snapshot)
    hours = [NOW.replace(minute=0) - timedelta(hours=each) for each in range(72, -1, -3)]
    at = np.array([hour.timestamp() for hour in hours])
    for moment, (counters, _) in zip(at, states.at(at), strict=True):
        stored = store.as_of(CLIPS, [datetime.fromtimestamp(moment, UTC)] * len(CLIPS))
        mine = stored.at(moment, states.clock)
        assert np.array_equal(mine, counters[snapshot.rows(CLIPS)])


def test_latest_is_the_newest_state_and_unknown_contents_have_none(filled):
    states = store.latest([CLIPS[5], "nobody-has-it"])
    newest = ContentFeatures.objects.filter(content_id=CLIPS[5]).order_by("-as_of").first()
    assert states.as_of[0] == pytest.approx(newest.as_of.timestamp())
    assert states.state[0] == pytest.approx(newest.vector)
    assert states.as_of[1] == NEVER
    assert not states.state[1].any()
    assert len(store.latest([]).as_of) == 0


def test_a_state_of_another_feature_set_is_not_mixed_in(filled):
    ContentFeatures.objects.filter(content_id=CLIPS[0]).update(feature_set="older")
    assert store.latest([CLIPS[0]]).as_of.tolist() == [NEVER]


def test_moments_and_contents_must_be_as_many(db):
    with pytest.raises(ValueError, match="one moment per content; got 1 for 2"):
        store.as_of(["a", "b"], [datetime(2026, 1, 1, tzinfo=UTC)])


def test_lookups_take_few_queries(filled, django_assert_num_queries):
    with django_assert_num_queries(1):
        store.latest(CLIPS)
    with django_assert_num_queries(3):
        store.as_of(CLIPS, [NOW] * len(CLIPS))
    with django_assert_num_queries(0):
        store.snapshot()


def test_a_new_snapshot_is_served_after_a_moment_and_not_before(filled, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(store.time, "monotonic", lambda: clock[0])
    first = store.snapshot()
    register(["neon-99"])
    materialize(until=NOW)
    assert store.snapshot() is first
    clock[0] += store.RECHECK_S
    assert "neon-99" in store.snapshot().row_of
    assert "neon-99" not in first.row_of, "who still works with the old one is not disturbed"


def test_a_damaged_new_snapshot_leaves_the_old_one_serving(filled, caplog, monkeypatch):
    first = store.snapshot()
    register(["neon-99"])
    materialize(until=NOW)
    (snapshot_files.current(filled) / "embedding.npy").write_bytes(b"nonsense")
    monkeypatch.setattr(store, "RECHECK_S", 0.0)
    assert store.snapshot() is first
    assert "embedding.npy is damaged" in caplog.text


def flip_a_byte(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_a_fresh_process_serves_an_older_snapshot_where_the_newest_is_damaged(filled, caplog, monkeypatch):
    made = [snapshot_files.current(filled)]
    for name in ("neon-98", "neon-99"):
        register([name])
        materialize(until=NOW)
        made.append(snapshot_files.current(filled))
    oldest, older, newest = made
    monkeypatch.setattr(store, "RECHECK_S", 0.0)
    flip_a_byte(newest / "features.npy")
    store.forget()
    assert store.snapshot().version == older.name
    again = store.snapshot()
    assert again is store.snapshot()
    assert caplog.text.count("features.npy is damaged") == 1
    assert caplog.text.count(f"{older.name} serves instead of {newest.name}") == 1
    flip_a_byte(older / "features.npy")
    store.forget()
    assert store.snapshot().version == oldest.name, "one that is damaged too is passed over"
    materialize(until=NOW)
    repaired = snapshot_files.current(filled)
    assert repaired != oldest
    assert store.snapshot().version == repaired.name


def test_an_older_snapshot_of_another_feature_set_does_not_serve(filled):
    older = snapshot_files.current(filled)
    register(["neon-99"])
    materialize(until=NOW)
    manifest = older / snapshot_files.MANIFEST
    known = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(known | {"feature_set": "other"}))
    flip_a_byte(snapshot_files.current(filled) / "features.npy")
    store.forget()
    assert store.snapshot() is None


def test_an_older_snapshot_serves_no_content_erased_before_or_since(filled, monkeypatch):
    older = snapshot_files.current(filled)
    store.hide(CLIPS[3])
    Content.objects.filter(content_id=CLIPS[3]).delete()
    materialize(until=NOW)
    assert hiding.names(filled) == snapshot_files.answered(snapshot_files.current(filled))
    flip_a_byte(snapshot_files.current(filled) / "features.npy")
    monkeypatch.setattr(store, "RECHECK_S", 0.0)
    store.forget()
    snapshot = store.snapshot()
    assert snapshot.version == older.name
    assert not snapshot.active[snapshot.row_of[CLIPS[3]]]
    assert snapshot.active[snapshot.row_of[CLIPS[4]]]
    store.hide(CLIPS[4])
    snapshot = store.snapshot()
    assert not snapshot.active[snapshot.rows(CLIPS[3:5])].any()


def test_more_vectors_than_are_encoded_at_once_are_all_stored(db, monkeypatch):
    monkeypatch.setattr(store, "VECTORS_AT_ONCE", 3)
    vectors = np.arange(16, dtype=np.float32).reshape(8, 2)
    store.put_embeddings(CLIPS[:8], vectors, encoder="content-1", now=NOW)
    stored = dict(Embedding.objects.values_list("content_id", "vector"))
    assert stored == dict(zip(CLIPS[:8], vectors.tolist(), strict=True))


def test_all_threads_get_the_snapshot_at_the_very_first_request(filled):
    store.forget()
    found, barrier = [], threading.Barrier(8)

    def ask() -> None:
        barrier.wait()
        found.append(store.snapshot())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert found[0] is not None
    assert all(each is found[0] for each in found)
