"""When a snapshot is worth writing."""

import os
import time

import numpy as np
import pytest

from features import snapshot_build, snapshot_files
from features.materialize import refresh_snapshot
from tests.features.clips import CLIPS, NOW, register


@pytest.fixture
def written(db, snapshots, monkeypatch):
    """A snapshot of a catalogue that counts as large: it rests a thousand seconds per content."""
    register(CLIPS)
    assert refresh_snapshot(until=NOW)
    monkeypatch.setattr(snapshot_build, "NO_REST", 0)
    monkeypatch.setattr(snapshot_build, "REST_S", 1_000.0)
    return snapshot_files.current(snapshots)


def aged(folder, seconds):
    """The snapshot as if it had been written so long ago."""
    manifest = folder / snapshot_files.MANIFEST
    os.utime(manifest, (time.time() - seconds,) * 2)


def test_a_large_catalogue_rests_after_it_was_written(written):
    register(["neon-99"])
    assert not refresh_snapshot(until=NOW)
    aged(written, 1_000.0 * len(CLIPS) + 1.0)
    assert refresh_snapshot(until=NOW)


def test_a_small_one_does_not(written, monkeypatch):
    monkeypatch.setattr(snapshot_build, "NO_REST", len(CLIPS))
    register(["neon-99"])
    assert refresh_snapshot(until=NOW)


def test_rest_ends_when_half_of_the_room_is_taken(written, monkeypatch):
    room = snapshot_files.room_of(written)
    monkeypatch.setattr(snapshot_files, "room_of", lambda _: snapshot_files.Room(room.contents, 8, room.age_s))
    register(["neon-97", "neon-98"])
    assert not snapshot_build.is_due()
    register(["neon-99"])
    assert snapshot_build.is_due(), "the content of the moment itself counts, too"


def test_without_a_change_nothing_is_due_however_old_it_is(written):
    aged(written, 10**9)
    assert not snapshot_build.is_due()


def test_one_that_cannot_be_read_is_due(written):
    register(["neon-99"])
    (written / "active.npy").write_bytes(b"nonsense")
    assert snapshot_build.is_due()


@pytest.mark.parametrize("contents", [0, 1, 63, 64, 65, 127, 128, 100_000, 999_999])
def test_the_room_of_a_snapshot_follows_from_the_length_of_its_columns(tmp_path, contents):
    np.save(tmp_path / "active.npy", np.zeros(contents + snapshot_files.free_rows(contents), np.bool_))
    room = snapshot_files.room_of(tmp_path)
    assert (room.contents, room.free) == (contents, snapshot_files.free_rows(contents))
