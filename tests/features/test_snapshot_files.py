import json
import os

import numpy as np
import pytest

from features import snapshot_files
from features.embeddings.combine import ContentEncoder
from features.extraction.definitions import COUNTERS
from features.snapshot_files import Manifest, SnapshotArrays, SnapshotError
from tests.features.logs import T0, snapshot_of, texts

ENCODER = ContentEncoder().fit(["neon city", "ocean wave"], {}, {})


def write(root, *, seed=0, until=T0, changed_at="2026-11-20T00:00:00+00:00", answered=()):
    like = snapshot_of(5, counters=np.random.default_rng(seed).uniform(0, 9, (5, len(COUNTERS))).astype(np.float32))
    arrays = SnapshotArrays(**{name: getattr(like, name) for name in SnapshotArrays.__dataclass_fields__})
    manifest = Manifest(until, "counters", ENCODER.version_, 5, 0, changed_at, answered=answered)
    return snapshot_files.write(root, arrays, manifest=manifest, encoder=ENCODER, sequential=None)


def test_what_is_loaded_is_what_was_written(tmp_path):
    manifest = write(tmp_path)
    loaded = snapshot_files.load(snapshot_files.current(tmp_path))
    like = snapshot_of(5)
    assert loaded.version == manifest.version
    assert loaded.until == T0
    for name in SnapshotArrays.__dataclass_fields__:
        if name not in {"counters", "features", "popularity"}:
            assert np.array_equal(getattr(loaded, name), getattr(like, name)), name
    assert loaded.sequential is None
    assert loaded.index.search(like.embedding[3], 1)[0].tolist() == [3]


def test_the_arrays_are_mapped_from_the_file_and_cannot_be_changed(tmp_path):
    write(tmp_path)
    counters = snapshot_files.load(snapshot_files.current(tmp_path)).counters
    assert isinstance(counters.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        counters[0, 0] = 1.0


def test_the_same_data_has_the_same_version_and_other_data_another(tmp_path):
    assert write(tmp_path / "a").version == write(tmp_path / "b").version
    assert write(tmp_path / "a").version != write(tmp_path / "a", seed=1).version
    assert write(tmp_path / "a").version != write(tmp_path / "a", until=T0 + 60).version


def test_a_manifest_may_learn_something_without_a_new_version(tmp_path):
    version = write(tmp_path).version
    assert write(tmp_path, changed_at="2026-11-21T00:00:00+00:00").version == version
    manifest = snapshot_files.read_manifest(snapshot_files.current(tmp_path))
    assert manifest.catalogue_changed_at == "2026-11-21T00:00:00+00:00"


def test_three_snapshots_are_kept_and_the_one_that_serves_is_among_them(tmp_path):
    versions = [write(tmp_path, seed=seed).version for seed in range(6)]
    kept = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert len(kept) == 3
    assert snapshot_files.current(tmp_path).name == versions[-1]
    assert versions[-1] in kept
    assert write(tmp_path, seed=5).version in {path.name for path in tmp_path.iterdir()}


def test_a_mapped_snapshot_outlives_its_folder(tmp_path):
    write(tmp_path)
    old = snapshot_files.load(snapshot_files.current(tmp_path))
    expected = old.counters.sum()
    for seed in range(1, 6):
        write(tmp_path, seed=seed)
    assert not (tmp_path / old.version).exists()
    assert old.counters.sum() == expected


def test_what_a_crash_left_behind_is_removed_once_it_is_old(tmp_path):
    for name, age in (("old", 2 * snapshot_files.ABANDONED_S), ("new", 0)):
        partial = tmp_path / f".partial-{name}"
        partial.mkdir()
        os.utime(partial, (partial.stat().st_mtime - age,) * 2)
    write(tmp_path)
    assert sorted(path.name for path in tmp_path.glob(".partial-*")) == [".partial-new"]


@pytest.mark.parametrize("name", ["counters.npy", "ids.json", "index.faiss", "text_encoder.npz"])
def test_a_damaged_or_missing_file_is_refused_by_name(tmp_path, name):
    write(tmp_path)
    folder = snapshot_files.current(tmp_path)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(SnapshotError, match=f"{name} is damaged"):
        snapshot_files.load(folder)
    (folder / name).unlink()
    with pytest.raises(SnapshotError, match=name):
        snapshot_files.load(folder)


def test_a_manifest_that_is_none_is_refused(tmp_path):
    write(tmp_path)
    folder = snapshot_files.current(tmp_path)
    (folder / "manifest.json").write_text(json.dumps({"until": 1}))
    with pytest.raises(SnapshotError, match=r"manifest\.json cannot be read"):
        snapshot_files.load(folder)


def test_before_the_first_snapshot_there_is_none(tmp_path):
    assert snapshot_files.current(tmp_path / "nowhere") is None


def test_ids_in_any_script_survive(tmp_path):
    like = snapshot_of(2)
    arrays = SnapshotArrays(**{name: getattr(like, name) for name in SnapshotArrays.__dataclass_fields__})
    named = SnapshotArrays(
        **{
            **{name: getattr(arrays, name) for name in SnapshotArrays.__dataclass_fields__},
            "content_id": texts(["köln", "動画"]),
        }
    )
    manifest = Manifest(T0, "counters", ENCODER.version_, 2, 0, "")
    snapshot_files.write(tmp_path, named, manifest=manifest, encoder=ENCODER, sequential=None)
    assert snapshot_files.load(snapshot_files.current(tmp_path)).rows(["動画", "köln"]).tolist() == [1, 0]
