"""Snapshot files that cannot be used: reads fall back, say so once and count it; the next tick mends them."""

import os

import pytest

from events.models import Content
from features import hiding, snapshot_files, store
from features.materialize import materialize, refresh_snapshot
from features.telemetry import SNAPSHOT_TROUBLE
from tests.features.clips import CLIPS, NOW, days_of_events, register, send


@pytest.fixture
def filled(db, snapshots, monkeypatch):
    """Two snapshots; each look at the store is a look at the disk."""
    monkeypatch.setattr(store, "RECHECK_S", 0.0)
    register(CLIPS)
    send(days_of_events(events=120))
    materialize(until=NOW)
    register(["neon-99"])
    materialize(until=NOW)
    return snapshots


def counted(reason):
    return SNAPSHOT_TROUBLE.labels(reason)._value.get()


def older(root):
    return snapshot_files.newest_first(root)[1]


POINTERS = {
    "not UTF-8": b"\xff\xfe\x00",
    "overlong": b"20261120T180000-" + b"a" * 100_000,
    "empty": b"",
    "a way out": b"../../../../../../etc",
    "zero bytes": bytes(28),
    "another folder": b".",
    "digits of another script": "٢٠٢٦١١٢٠T180000-aaaaaaaaaaaa".encode(),
}


@pytest.mark.parametrize("said", POINTERS.values(), ids=POINTERS.keys())
def test_a_pointer_that_names_nothing_leaves_what_serves_and_is_mended(filled, caplog, said):
    good, before = store.snapshot(), counted("pointer")
    pointed = (filled / snapshot_files.POINTER).read_bytes()
    (filled / snapshot_files.POINTER).write_bytes(said)
    for _ in range(3):
        assert store.snapshot().version == good.version
    assert counted("pointer") == before + 1
    assert caplog.text.count("CURRENT names no snapshot") + caplog.text.count("CURRENT cannot be read") == 1
    store.forget()
    assert store.snapshot().version == good.version, "a fresh process finds the newest that is whole"
    refresh_snapshot(until=NOW)
    assert (filled / snapshot_files.POINTER).read_bytes() == pointed
    assert store.snapshot().version == good.version


@pytest.mark.parametrize("mend", [materialize, refresh_snapshot])
def test_a_folder_in_place_of_the_pointer_is_mended(filled, mend):
    pointer = filled / snapshot_files.POINTER
    pointed = pointer.read_bytes()
    pointer.unlink()
    pointer.mkdir()
    (pointer / "something").write_bytes(b"")
    store.forget()
    assert store.snapshot() is not None
    mend(until=NOW)
    assert pointer.read_bytes() == pointed


def test_a_lost_pointer_is_no_lost_snapshot(filled):
    good = store.snapshot().version
    (filled / snapshot_files.POINTER).unlink()
    assert store.snapshot().version == good
    store.forget()
    before = counted("pointer")
    assert store.snapshot().version == good
    assert counted("pointer") == before + 1


def damaged_file(folder):
    (folder / "features.npy").write_bytes((folder / "features.npy").read_bytes()[:100])


def missing_file(folder):
    (folder / "index.faiss").unlink()


def folder_for_a_file(folder):
    (folder / "embedding.npy").unlink()
    (folder / "embedding.npy").mkdir()


def missing_folder(folder):
    folder.rename(folder.parent / ".elsewhere")


def file_for_the_folder(folder):
    missing_folder(folder)
    folder.write_bytes(b"")


def no_manifest(folder):
    (folder / snapshot_files.MANIFEST).unlink()


def manifest_of_other_types(folder):
    (folder / snapshot_files.MANIFEST).write_text('{"files": []}')


def manifest_too_deep(folder):
    (folder / snapshot_files.MANIFEST).write_text("[" * 100_000)


DAMAGE = [
    damaged_file, missing_file, folder_for_a_file, missing_folder, file_for_the_folder, no_manifest,
    manifest_of_other_types, manifest_too_deep,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_snapshot_leaves_the_one_before_and_is_mended(filled, damage):
    newest, before = snapshot_files.current(filled), counted("files")
    old = older(filled).name
    damage(newest)
    store.forget()
    assert store.snapshot().version == old
    assert store.snapshot().version == old
    assert counted("files") == before + 1
    materialize(until=NOW)
    assert store.snapshot().version == snapshot_files.current(filled).name != old
    assert "neon-99" in store.snapshot().row_of


@pytest.mark.parametrize("damage", [no_manifest, missing_folder, manifest_of_other_types])
def test_what_nobody_can_serve_from_is_mended_within_a_tick(filled, damage):
    for folder in snapshot_files.newest_first(filled):
        damage(folder)
        if damage is missing_folder:
            (filled / ".elsewhere").rename(filled / f".elsewhere-{folder.name}")
    store.forget()
    assert store.snapshot() is None
    assert refresh_snapshot(until=NOW)
    assert "neon-99" in store.snapshot().row_of


def test_what_was_erased_stays_hidden_whichever_file_is_damaged(filled):
    row = store.snapshot().row_of
    store.hide(CLIPS[3])
    store.hide(CLIPS[4])
    for path in (filled / hiding.FOLDER).iterdir():
        path.write_bytes(b"")
    damaged_file(snapshot_files.current(filled))
    no_manifest(older(filled))
    store.forget()
    assert store.snapshot() is None
    materialize(until=NOW)
    snapshot = store.snapshot()
    assert snapshot.row_of == row
    assert not snapshot.active[snapshot.rows(CLIPS[3:5])].any()
    Content.objects.filter(content_id__in=CLIPS[3:5]).delete()
    materialize(until=NOW)
    assert CLIPS[3] not in store.snapshot().row_of


def test_without_the_list_of_what_was_erased_no_snapshot_serves_until_all_are_made_anew(filled, caplog):
    store.hide(CLIPS[3])
    serving = store.snapshot()
    Content.objects.filter(content_id=CLIPS[3]).delete()
    os.rename(filled / hiding.FOLDER, filled / ".lost")
    (filled / hiding.FOLDER).write_bytes(b"")
    before = counted("erasures")
    assert store.snapshot() is serving, "it was told before"
    assert store.snapshot() is serving
    assert counted("erasures") == before + 1
    store.forget()
    assert store.snapshot() is None
    assert refresh_snapshot(until=NOW)
    assert CLIPS[3] not in store.snapshot().row_of
    assert len(snapshot_files.newest_first(filled)) == 1
    store.hide(CLIPS[4])
    assert not store.snapshot().active[store.snapshot().row_of[CLIPS[4]]]
