"""What is uploaded after a snapshot was written is taken in, once, and leaves with its content."""

from datetime import timedelta

import numpy as np
import pytest

from events.catalogue import set_moderation_state
from events.models import Content
from features import arrivals, snapshot_files, store
from features.materialize import materialize
from tests.features.clips import CLIPS, NOW, days_of_events, register, send


@pytest.fixture
def filled(db, snapshots, monkeypatch):
    """Three days of events, materialised; every look at the disk and the catalogue is a new one."""
    register(CLIPS)
    send(days_of_events())
    materialize(until=NOW)
    monkeypatch.setattr(store, "RECHECK_S", 0.0)
    monkeypatch.setattr(arrivals, "ERASED_S", 0.0)
    return snapshots


def test_without_a_snapshot_there_is_nothing_to_add_to(db, snapshots):
    assert arrivals.refresh() is None


def test_an_upload_is_there_at_the_next_look(filled):
    before = arrivals.refresh()
    assert before.changed.tolist() == []
    register(["neon-99"])
    found = arrivals.refresh()
    row = found.snapshot.row_of["neon-99"]
    assert found.changed.tolist() == [row] == [len(CLIPS)]
    assert found.snapshot.active[row]
    assert found.base is before.base
    assert "neon-99" not in found.base.row_of
    assert arrivals.refresh().changed.tolist() == [], "once"


def test_its_text_is_encoded_as_the_next_snapshot_does_it(filled):
    arrivals.refresh()
    register(["neon-99"])
    found = arrivals.refresh().snapshot
    vector = found.embedding[found.row_of["neon-99"]].copy()
    near, _ = found.index.search(vector, 5, found.active & (np.arange(len(found)) != found.row_of["neon-99"]))
    assert {found.content_id[row].partition("-")[0] for row in near} == {"neon"}
    materialize(until=NOW)
    written = store.snapshot()
    assert vector == pytest.approx(written.embedding[written.row_of["neon-99"]], abs=1e-6)


def test_the_next_snapshot_has_it_and_it_is_there_once(filled):
    arrivals.refresh()
    register(["neon-98"])
    arrivals.refresh()
    materialize(until=NOW)
    register(["neon-99"])
    found = arrivals.refresh()
    assert "neon-98" in found.base.row_of
    assert found.changed.tolist() == [found.snapshot.row_of["neon-99"]] == [len(CLIPS) + 1]
    names = [each for each in found.snapshot.content_id.tolist() if each]
    assert sorted(names) == sorted([*CLIPS, "neon-98", "neon-99"])


def test_what_was_committed_behind_later_stamps_is_found(filled):
    arrivals.refresh()
    register(["neon-98"])
    arrivals.refresh()
    register(["neon-99"])
    late = Content.objects.get(content_id="neon-98").updated_at - timedelta(seconds=5)
    Content.objects.filter(content_id="neon-99").update(updated_at=late)
    assert "neon-99" in arrivals.refresh().snapshot.row_of


def test_a_second_description_replaces_the_first(filled):
    arrivals.refresh()
    register(["ocean-99"], caption="something else")
    first = arrivals.refresh().snapshot
    vector = first.embedding[first.row_of["ocean-99"]].copy()
    register(["ocean-99"], caption="city glow night")
    found = arrivals.refresh()
    assert found.changed.tolist() == [first.row_of["ocean-99"]]
    assert not np.allclose(vector, found.snapshot.embedding[found.changed[0]])


@pytest.mark.parametrize("status", ["hidden", "removed"])
def test_who_is_withdrawn_is_not_active_any_more_and_comes_back(filled, status):
    arrivals.refresh()
    register(["neon-99"])
    arrivals.refresh()
    for each in ("neon-99", CLIPS[2]):
        set_moderation_state(each, status=status)
    found = arrivals.refresh().snapshot
    assert not found.active[found.rows(["neon-99", CLIPS[2]])].any()
    for each in ("neon-99", CLIPS[2]):
        set_moderation_state(each, status="active")
    assert found.active[arrivals.refresh().snapshot.rows(["neon-99", CLIPS[2]])].all()


def test_a_hidden_upload_is_taken_in_and_not_active(filled):
    arrivals.refresh()
    register(["neon-99"])
    set_moderation_state("neon-99", status="hidden")
    found = arrivals.refresh().snapshot
    assert not found.active[found.row_of["neon-99"]]


def test_an_erased_upload_leaves_nothing_in_memory(filled):
    arrivals.refresh()
    register(["neon-99"])
    row = arrivals.refresh().snapshot.row_of["neon-99"]
    Content.objects.filter(content_id="neon-99").delete()
    found = arrivals.refresh()
    assert found.changed.tolist() == [row]
    assert "neon-99" not in found.snapshot.row_of
    assert not found.snapshot.active[row]
    assert not found.snapshot.embedding[row].any()


def test_who_is_erased_from_the_snapshot_does_not_come_back_by_a_change(filled):
    arrivals.refresh()
    store.hide(CLIPS[3])
    # Its row may outlive the erasure by a moment, and somebody may touch it.
    register([CLIPS[3]])
    found = arrivals.refresh().snapshot
    row = found.row_of[CLIPS[3]]
    assert not found.active[row]
    assert not found.embedding[row].any()


def test_more_than_there_is_room_for_waits_and_is_told(filled, monkeypatch, caplog):
    monkeypatch.setattr(snapshot_files, "free_rows", lambda _contents: 2)
    register(["neon-90"])
    materialize(until=NOW)
    arrivals.refresh()
    register([f"neon-9{number}" for number in range(1, 6)])
    found = arrivals.refresh()
    assert len(found.changed) == 2
    assert "5 new contents for 2 free rows" in caplog.text
    materialize(until=NOW)
    assert set(arrivals.refresh().base.row_of) == {*CLIPS, *(f"neon-9{number}" for number in range(6))}


def test_a_look_is_one_query_while_nothing_changes(filled, django_assert_num_queries):
    arrivals.refresh()
    with django_assert_num_queries(1):
        arrivals.refresh()


def test_a_snapshot_whose_files_are_gone_serves_as_it_is(filled, caplog):
    base = store.snapshot()
    for path in (filled / base.version).iterdir():
        if path.name == "embedding.npy":
            path.unlink()
    found = arrivals.refresh()
    assert found.snapshot is found.base is base
    assert "takes in nothing" in caplog.text


def test_the_file_stays_as_it_was_written(filled):
    arrivals.refresh()
    register(["neon-99"])
    arrivals.refresh()
    folder = snapshot_files.current(filled)
    assert len(snapshot_files.load(folder)) == len(CLIPS), "its hashes hold"
