"""The files of model versions: `MODEL_DIR/<version>`, complete or not there, and checked whenever they are loaded.

A folder is completed under a temporary name, read back, put on the disk for good, and renamed. A model is usable when
its hashes hold, ONNX Runtime runs it, and a few plain rows get finite figures: weights that are not numbers cannot hide
behind an intact file.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from django.conf import settings

from ranking.ranker import bundle
from ranking.ranker.bundle import BundleError, Manifest, ServingBundle

STALE_S: Final = 24 * 3600
"""Temporary folders older than this belong to a crash, not to a training that still runs."""
_PROBE_ROWS: Final = 4


@dataclass(frozen=True, slots=True)
class Pointer:
    """The model version that serves, the SHA-256 its manifest must have, and the version of the value weights.

    `instead` serves where this one cannot be loaded: the champion, for users of a canary.
    """

    version: str
    manifest_sha256: str | None
    weights: int = 0
    instead: "Pointer | None" = None

    def weighing(self, weights: int) -> "Pointer":
        """The same with other value weights."""
        return replace(self, weights=weights)


def folder_of(version: str) -> Path:
    """Where the files of a version lie."""
    return Path(settings.MODEL_DIR) / version


def load(pointer: Pointer, *, feature_set: str) -> ServingBundle:
    """A checked model.

    Raises
    ------
    BundleError : when its files are missing, damaged, of another feature set, or give figures that are not finite
    """
    return _checked(folder_of(pointer.version), feature_set=feature_set, manifest_sha256=pointer.manifest_sha256)


def store(
    version: str,
    graph: bytes,
    heads: bytes | None,
    extras: Mapping[str, bytes],
    *,
    manifest: Manifest,
    now: datetime,
    retriever: Mapping[str, bytes] | None = None,
) -> tuple[dict[str, str], ServingBundle]:
    """Write the folder of a version; returns file name to SHA-256, and the model as it was read back.

    `extras` are files that serving does not read, such as the weights that training goes on from. A folder of that name
    was left by a crash before its row was written, and is replaced.
    """
    folder = folder_of(version)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent, now=now)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder.parent))
    try:
        artefacts = bundle.save(unfinished, graph, heads, manifest=manifest, retriever=retriever)
        model = _checked(
            unfinished, feature_set=manifest.feature_set, manifest_sha256=artefacts[bundle.MANIFEST_FILE]
        )  # fmt: skip
        for name, content in extras.items():
            (unfinished / name).write_bytes(content)
            artefacts[name] = bundle.sha256_of(content)
        # mkdtemp makes folders for the owner alone; web processes may run as another user.
        unfinished.chmod(0o755)
        for path in (*unfinished.iterdir(), unfinished):
            _to_disk(path)
        if folder.exists():
            shutil.rmtree(folder)
        unfinished.rename(folder)
        _to_disk(folder.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return artefacts, model


def side_file(version: str, name: str, sha256: str) -> bytes:
    """A file that training goes on from, after comparing its hash."""
    return bundle.read_checked(folder_of(version) / name, sha256)


def remove(version: str) -> None:
    """Delete the folder of a version."""
    shutil.rmtree(folder_of(version), ignore_errors=True)


def _checked(folder: Path, *, feature_set: str, manifest_sha256: str | None) -> ServingBundle:
    model = bundle.load(folder, feature_set=feature_set, manifest_sha256=manifest_sha256)
    rows = {name: np.ones((_PROBE_ROWS, width), np.float32) for name, width in model.manifest.dims.items()}
    try:
        model.head_rows(rows)
    except BundleError:
        raise
    except Exception as error:  # ONNX Runtime raises classes of its C++ side that share no base but this one
        raise BundleError(f"{model.version} cannot score plain rows: {error}") from error
    return model


def _to_disk(path: Path) -> None:
    """A row must not outlive the files it names when the power goes."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(models: Path, *, now: datetime) -> None:
    """Remove what crashed registrations left behind."""
    for left in models.glob(".unfinished-*"):
        if now.timestamp() - left.stat().st_mtime > STALE_S:
            shutil.rmtree(left, ignore_errors=True)
