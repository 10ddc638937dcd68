"""Snapshots on disk: immutable folders and one pointer.

    snapshots/CURRENT                        the name of the folder to serve from, replaced atomically
    snapshots/20261123T200000-3f2a9c.../     named after the moment and the hash of its files
        manifest.json                        what it was made from, and the SHA-256 of every file
        counters.npy, embedding.npy, ...     arrays, memory-mapped by every web worker, with free rows behind
        ids.json                             content ids and vocabularies
        index.faiss, sequential.npz, word2vec.npz
        content_encoder.*, text_encoder.*        how contents become vectors, for those that come next

The name follows from the bytes: the same data gives the same folder, and writing it again changes nothing. Three
folders are kept. A worker that still maps an older one keeps its pages until it lets go, as files do on Linux.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.embeddings.behaviour import SequentialItemModel
from features.embeddings.combine import ContentEncoder
from features.embeddings.index import VectorIndex
from features.embeddings.word2vec import ItemVectors
from features.extraction.definitions import FEATURE_SET
from features.extraction.snapshot import UNKNOWN, ContentSnapshot

KEPT: Final = 3
ABANDONED_S: Final = 3600.0
"""A temporary folder older than this belongs to a crash."""
POINTER: Final = "CURRENT"
MANIFEST: Final = "manifest.json"
HIDDEN: Final = "HIDDEN.json"
_PARTIAL: Final = ".partial-"
_INDEX: Final = "index.faiss"
_IDS: Final = "ids.json"
_ARRAYS: Final = (
    "creator", "category", "language", "upload_timestamp", "duration_s", "active", "embedding", "text_hash", "look",
    "counters", "features", "popularity", "watch", "surface",
)  # fmt: skip
_NOT_ROWS: Final = frozenset({"watch", "surface"})
_FREE_ROW: Final = {"creator": UNKNOWN, "category": UNKNOWN, "language": UNKNOWN, "look": UNKNOWN, "duration_s": np.nan}
"""What stands in the free rows, where it is not zero."""
_TEXTS: Final = ("content_id", "creators", "categories", "languages", "surfaces")


class SnapshotError(RuntimeError):
    """A snapshot that cannot be used: missing, damaged or of another layout."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a snapshot was made from; plain JSON on disk.

    Attributes
    ----------
    until : seconds since 1970 UTC, moment of the counters
    counter_set : layout of the counters
    encoder_version : of the content encoder
    encoder_contents : contents there were when the encoder was fitted
    sequential_events : events in the log when the sequential model was fitted
    catalogue_changed_at : last change of the catalogue when it was read, ISO 8601, "" while it was empty
    feature_set : layout of the ready-made features
    files : name to SHA-256
    """

    until: float
    counter_set: str
    encoder_version: str
    encoder_contents: int
    sequential_events: int
    catalogue_changed_at: str
    feature_set: str = FEATURE_SET
    version: str = ""
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SnapshotArrays:
    """What a snapshot is made of, before it has a version: the fields of `ContentSnapshot` of the same names."""

    content_id: NDArray[np.object_]
    creator: NDArray[np.int32]
    category: NDArray[np.int32]
    language: NDArray[np.int32]
    creators: NDArray[np.object_]
    categories: NDArray[np.object_]
    languages: NDArray[np.object_]
    upload_timestamp: NDArray[np.float64]
    duration_s: NDArray[np.float32]
    active: NDArray[np.bool_]
    embedding: NDArray[np.float32]
    text_hash: NDArray[np.uint64]
    look: NDArray[np.int32]
    counters: NDArray[np.float32]
    features: NDArray[np.float32]
    popularity: NDArray[np.float32]
    watch: NDArray[np.float32]
    surfaces: NDArray[np.object_]
    surface: NDArray[np.float32]


def write(
    root: Path,
    arrays: SnapshotArrays,
    *,
    manifest: Manifest,
    encoder: ContentEncoder,
    sequential: SequentialItemModel | None,
    word_vectors: ItemVectors | None = None,
    index: VectorIndex | None = None,
) -> Manifest:
    """Write a snapshot and point at it; returns the manifest with version and files.

    A crash leaves the old pointer and a partial folder that a later call removes. `index` is built where none is given.
    """
    root.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=root))
    # mkdtemp closes the folder to others, but web workers may run as another user.
    partial.chmod(0o755)
    try:
        _write_files(partial, arrays, encoder)
        for model in (sequential, word_vectors):
            if model is not None:
                model.save(partial)
        (index or VectorIndex.build(arrays.embedding)).save(partial / _INDEX)
        complete = _identified(partial, manifest)
        folder = root / complete.version
        (partial / MANIFEST).write_text(json.dumps(asdict(complete), indent=2, sort_keys=True), encoding="utf-8")
        if _is_whole(folder, complete.files):
            os.replace(partial / MANIFEST, folder / MANIFEST)
        else:
            _sync(partial)
            if folder.exists():
                folder.rename(root / f"{_PARTIAL}damaged-{partial.name}")
            partial.rename(folder)
        _point_at(root, complete.version)
        gone = hidden(root)
        if gone:
            # Only what the catalogue still has, and with it the snapshot, needs hiding any longer; but older ones,
            # which serve where this one is damaged, have the rest.
            still = gone & frozenset(arrays.content_id.tolist())
            for older in newest_first(root):
                if older != folder:
                    write_hidden(older, hidden(older) | (gone - still))
            write_hidden(root, still)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _prune(root)
    return complete


def hidden(root: Path) -> frozenset[str]:
    """Contents that are in snapshots but must not be served; erased since the newest one was made.

    Of the folder of an older snapshot: those erased before the newest one was made, which lacks them.
    """
    try:
        return frozenset(json.loads((root / HIDDEN).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return frozenset()


def write_hidden(root: Path, content_ids: frozenset[str]) -> None:
    """Replace the list of `hidden`, atomically."""
    fresh = root / f".{HIDDEN}"
    fresh.write_text(json.dumps(sorted(content_ids)), encoding="utf-8")
    _sync(fresh)
    os.replace(fresh, root / HIDDEN)


def current(root: Path) -> Path | None:
    """The folder to serve from; None when there is none yet."""
    try:
        return root / (root / POINTER).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def newest_first(root: Path) -> list[Path]:
    """The folders of all snapshots, whole or not, by when they were written."""
    folders = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return sorted(folders, key=_written_at, reverse=True)


def _written_at(folder: Path) -> float:
    """When the manifest was written, seconds since 1970: the folder itself changes when a content is hidden in it."""
    try:
        return (folder / MANIFEST).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a snapshot, or `SnapshotError`."""
    try:
        known = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return Manifest(**{each.name: known[each.name] for each in fields(Manifest)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"{folder / MANIFEST} cannot be read: {error!r}") from error


def load(folder: Path) -> ContentSnapshot:
    """Check the hashes of a snapshot and map it; `SnapshotError` when it is not whole."""
    manifest = read_manifest(folder)
    if manifest.feature_set != FEATURE_SET:
        raise SnapshotError(f"{folder} has the feature set {manifest.feature_set}, the code has {FEATURE_SET}")
    for name, sha256 in manifest.files.items():
        found = _sha256(folder / name)
        if found != sha256:
            raise SnapshotError(f"{folder / name} is damaged: its SHA-256 is {found[:12]}..., not {sha256[:12]}...")
    try:
        texts = json.loads((folder / _IDS).read_text(encoding="utf-8"))
        rows = len(texts["content_id"])
        return ContentSnapshot(
            version=manifest.version,
            until=manifest.until,
            **{name: _column(texts[name]) for name in _TEXTS},
            **{name: _mapped(folder / f"{name}.npy", None if name in _NOT_ROWS else rows) for name in _ARRAYS},
            index=VectorIndex.load(folder / _INDEX),
            sequential=SequentialItemModel.load(folder),
            word_vectors=ItemVectors.load(folder),
            encoder_version=manifest.encoder_version,
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise SnapshotError(f"{folder} cannot be read: {error!r}") from error


def load_growing(folder: Path) -> dict[str, NDArray[Any]]:
    """The columns of a snapshot that was loaded before, with their free rows, to be written into by this process alone.

    Pages that nobody writes into are those of the file; the others are this process's own, and the file stays as it is.
    """
    try:
        return {
            name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False))
            for name in _ARRAYS
            if name not in _NOT_ROWS
        }
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{folder} cannot be read: {error!r}") from error


@dataclass(frozen=True, slots=True)
class Room:
    """How many contents a snapshot has, how many more it can take in, and how long ago it was written."""

    contents: int
    free: int
    age_s: float


def room_of(folder: Path) -> Room:
    """The room of a snapshot, from the head of one file."""
    try:
        rows = len(np.load(folder / "active.npy", mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{folder} cannot be read: {error!r}") from error
    # The largest number of contents that comes with its free rows to so many.
    contents = max((rows - 1_023) * 64 // 65, 0)
    return Room(contents, rows - contents, time.time() - _written_at(folder))


def free_rows(contents: int) -> int:
    """How many contents a snapshot of so many can take in after it was written (`extraction.growing`)."""
    return 1_024 + contents // 64


def _write_files(folder: Path, arrays: SnapshotArrays, encoder: ContentEncoder) -> None:
    for name in _ARRAYS:
        column = getattr(arrays, name)
        if name not in _NOT_ROWS:
            free = np.full((free_rows(len(column)), *column.shape[1:]), _FREE_ROW.get(name, 0), column.dtype)
            column = np.concatenate([column, free])
        np.save(folder / f"{name}.npy", column, allow_pickle=False)
    texts = {name: getattr(arrays, name).tolist() for name in _TEXTS}
    (folder / _IDS).write_text(json.dumps(texts), encoding="utf-8")
    encoder.save(folder)


def _identified(folder: Path, manifest: Manifest) -> Manifest:
    """The manifest with the hashes of the files and the version that follows from them."""
    files = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
    digest = hashlib.sha256(
        json.dumps([files, manifest.until, manifest.counter_set, manifest.feature_set]).encode()
    ).hexdigest()
    moment = datetime.fromtimestamp(manifest.until, UTC).strftime("%Y%m%dT%H%M%S")
    return Manifest(**{**asdict(manifest), "version": f"{moment}-{digest[:12]}", "files": files})


def _is_whole(folder: Path, files: dict[str, str]) -> bool:
    """Whether a folder has these files, undamaged."""
    return all((folder / name).exists() and _sha256(folder / name) == sha256 for name, sha256 in files.items())


def _point_at(root: Path, version: str) -> None:
    pointer = root / POINTER
    fresh = root / f".{POINTER}"
    fresh.write_text(version, encoding="utf-8")
    _sync(fresh)
    os.replace(fresh, pointer)


def _sync(path: Path) -> None:
    """Make sure that what the pointer will name survives a power cut."""
    for each in [*path.iterdir(), path] if path.is_dir() else [path]:
        handle = os.open(each, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _prune(root: Path) -> None:
    """Remove all but the newest snapshots, and what crashes left behind."""
    serving = current(root)
    spare = [path for path in newest_first(root) if path != serving][KEPT - 1 :]
    now = time.time()
    crashed = [path for path in root.glob(f"{_PARTIAL}*") if now - path.stat().st_mtime > ABANDONED_S]
    for path in [*spare, *crashed]:
        shutil.rmtree(path, ignore_errors=True)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise SnapshotError(f"{path} cannot be read: {error.strerror}") from error


def _mapped(path: Path, rows: int | None) -> NDArray[Any]:
    """The first rows of a mapped array as a plain ndarray: the subclass would cost a microsecond at every look."""
    if path.stat().st_size == 0:
        raise SnapshotError(f"{path} is empty")
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False)[:rows])


def _column(values: list[str]) -> NDArray[Any]:
    column = np.empty(len(values), object)
    column[:] = values
    return column
