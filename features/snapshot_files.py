"""Snapshots on disk: immutable folders and one pointer.

    snapshots/CURRENT                        the name of the folder to serve from, replaced atomically
    snapshots/20261123T200000-3f2a9c.../     named after the moment and the hash of its files
        manifest.json                        what it was made from, and the SHA-256 of every file
        counters.npy, embedding.npy, ...     arrays, memory-mapped by every web worker, with free rows behind
        ids.json                             content ids and vocabularies
        index.faiss, sequential.npz, word2vec.npz
        content_encoder.*, text_encoder.*        how contents become vectors, for those that come next
    snapshots/.erased/                       what they hold and nobody may be shown, see `hiding`
    snapshots/.lock                          held while a folder is put in its place

The name follows from the bytes: the same data gives the same folder, and writing it again changes nothing. Three
folders are kept. A worker that still maps an older one keeps its pages until it lets go, as files do on Linux.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from features import hiding
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
_LOCK: Final = ".lock"
_PARTIAL: Final = ".partial-"
_VERSION: Final = re.compile(r"\d{8}T\d{6}-[0-9a-f]{12}", re.ASCII)
_VERSION_BYTES: Final = 28
_INDEX: Final = "index.faiss"
_IDS: Final = "ids.json"
_ARRAYS: Final = (
    "creator", "category", "language", "upload_timestamp", "duration_s", "active", "embedding", "text_hash", "look",
    "sound",
    "counters", "features", "popularity", "watch", "surface",
)  # fmt: skip
_NOT_ROWS: Final = frozenset({"watch", "surface"})
_FREE_ROW: Final = {"creator": UNKNOWN, "category": UNKNOWN, "language": UNKNOWN, "look": UNKNOWN, "sound": UNKNOWN,
                    "duration_s": np.nan}  # fmt: skip
"""What stands in the free rows, where it is not zero."""
_TEXTS: Final = ("content_id", "creators", "categories", "languages", "surfaces")


DAMAGE: Final = (
    OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, EOFError, zlib.error,
    zipfile.BadZipFile, msgspec.MsgspecError,
)  # fmt: skip
"""What reading raises where files are not what was written."""


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
    answered : names of erasures (`hiding`) that need not be applied to it; all others hold for it
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
    answered: tuple[str, ...] = ()


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
    sound: NDArray[np.int32]
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
        (partial / MANIFEST).write_text(json.dumps(asdict(complete), indent=2, sort_keys=True), encoding="utf-8")
        # One at a time: who lost the connection to the database lost the lock of the store, and may still be writing.
        with _locked(root):
            _put_in_place(partial, root / complete.version, complete)
            _point_at(root, complete.version)
            _prune(root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return complete


def discard(root: Path) -> None:
    """Take all snapshots away: none of them may serve. What processes have in memory stays."""
    with _locked(root):
        for path in [root / POINTER, *newest_first(root)]:
            _remove(path)


def settled(root: Path) -> frozenset[str]:
    """Erasures that some snapshot has answered: every later one has, too."""
    return frozenset[str]().union(*(answered(folder) for folder in newest_first(root)))


def answered(folder: Path) -> frozenset[str]:
    """The erasures a snapshot has answered; none where that cannot be told."""
    try:
        return frozenset(read_manifest(folder).answered)
    except SnapshotError:
        return frozenset()


def _put_in_place(partial: Path, folder: Path, manifest: Manifest) -> None:
    """Make a written folder the one of its version; where that is there and whole, only its manifest is new."""
    if _is_whole(folder, manifest.files):
        _sync_one(partial / MANIFEST)
        os.replace(partial / MANIFEST, folder / MANIFEST)
        return
    _sync(partial)
    if folder.exists() or folder.is_symlink():
        folder.rename(folder.parent / f"{_PARTIAL}damaged-{partial.name}")
    partial.rename(folder)


def current(root: Path) -> Path | None:
    """The folder to serve from; None when there is none yet, `SnapshotError` where the pointer names none."""
    try:
        with (root / POINTER).open("rb") as stream:
            # No more than a name has: nobody knows what lies there.
            said = stream.read(_VERSION_BYTES + 2).decode("ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{root / POINTER} cannot be read: {error!r}") from error
    if not _VERSION.fullmatch(said):
        raise SnapshotError(f"{root / POINTER} names no snapshot: {said!r}")
    return root / said


def newest_first(root: Path) -> list[Path]:
    """The folders of all snapshots, whole or not, by when they were written."""
    try:
        folders = [path for path in root.iterdir() if _VERSION.fullmatch(path.name) and path.is_dir()]
    except OSError:
        return []
    return sorted(folders, key=_written_at, reverse=True)


def _written_at(folder: Path) -> float:
    """When the manifest was written, seconds since 1970: the folder itself changes with whatever is put into it."""
    try:
        return (folder / MANIFEST).stat().st_mtime
    except OSError:
        return 0.0


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a snapshot, or `SnapshotError`."""
    try:
        known = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return msgspec.convert({each.name: known[each.name] for each in fields(Manifest)}, Manifest)
    except DAMAGE as error:
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
    except DAMAGE as error:
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
    except DAMAGE as error:
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
    except DAMAGE as error:
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
    """Whether a folder has these files, undamaged.

    A damaged manifest counts, too: who has failed to load the folder looks again only at one that was made anew.
    """
    try:
        return read_manifest(folder).files == files and all(_sha256(folder / name) == files[name] for name in files)
    except SnapshotError:
        return False


def _point_at(root: Path, version: str) -> None:
    pointer = root / POINTER
    fresh = root / f".{POINTER}"
    fresh.write_text(version, encoding="utf-8")
    _sync(fresh)
    if pointer.is_dir() and not pointer.is_symlink():
        pointer.rename(Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=root)) / POINTER)
    os.replace(fresh, pointer)
    _sync_one(root)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold the lock of a folder of snapshots, over threads and processes; the kernel frees it with the process."""
    with (root / _LOCK).open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sync(path: Path) -> None:
    """Make sure that what the pointer will name survives a power cut."""
    for each in [*path.iterdir(), path] if path.is_dir() else [path]:
        _sync_one(each)


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _prune(root: Path) -> None:
    """Remove all but the newest snapshots, what crashes left behind, and what outlived an erasure for too long."""
    serving = current(root)
    spare = [path for path in newest_first(root) if path != serving][KEPT - 1 :]
    now = time.time()
    crashed = [path for path in root.glob(f"{_PARTIAL}*") if now - path.stat().st_mtime > ABANDONED_S]
    for path in [*spare, *crashed]:
        _remove(path)
    _forget_erased(root)


def forget_erased(root: Path) -> None:
    """Remove what outlived an erasure for too long, though no snapshot is written; cheap where nothing was erased."""
    with suppress(hiding.ErasuresUnreadable, SnapshotError):
        if hiding.old_names(root) or hiding.old_users(root):
            with _locked(root):
                _forget_erased(root)


def _forget_erased(root: Path) -> None:
    """Remove older snapshots that hold what the one that serves has answered the erasure of, `hiding.KEPT_S` after it,
    and the erasures that all the others answered.
    """
    serving = current(root)
    if serving is None:
        return
    erased, users = hiding.old_names(root) & answered(serving), hiding.old_users(root)
    over = {path: moment for path, moment in users.items() if _written_at(serving) > moment}
    since = max(over.values(), default=0.0)
    for folder in newest_first(root):
        if folder != serving and (_written_at(folder) <= since or not erased <= answered(folder)):
            _remove(folder)
    for path in over:
        path.unlink(missing_ok=True)
    hiding.clear(root, frozenset.intersection(*(answered(folder) for folder in newest_first(root))))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


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
