"""Frames to a vector: an ImageNet network looks at each, and its features are centred, projected and averaged.

    frame -> the middle 224 of 256 pixels -> network (1280,) -> less its mean over ImageNet -> 64 directions -> unit

The 64 directions are those in which the network's own classifier tells things apart most: the first right singular
vectors of its weights, less the mean class. On real clips they keep two encodings of one clip at a cosine of 0.997 and
put two photographs of cats at 0.67 where a random projection of the same length has 0.47. Without a classifier the
directions are random and orthonormal, of a fixed seed. Neither is ever fitted to a catalogue.

Only ONNX Runtime is needed here; `backbones` makes the file once.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from features.embeddings.backbones import SIDE, Backbone

DIMENSIONS: Final = 64
_NETWORK, _ARRAYS, _MANIFEST = "backbone.onnx", "projection.npz", "manifest.json"


class VisualEncoder:
    """Looks at frames; safe to use from one thread at a time.

    Attributes
    ----------
    mean : float32 array (d,), what the network's features are on average
    projection : float32 array (d, 64), orthonormal columns
    """

    def __init__(self, network: bytes, mean: NDArray[np.float32], projection: NDArray[np.float32]) -> None:
        import onnxruntime  # noqa: PLC0415  a web worker never looks at frames

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        # An arena keeps its largest size for good; frames come rarely enough to give the memory back.
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self.mean, self.projection = mean, projection

    def features(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the network sees in each frame, float32 (n, d), from uint8 (n, 256, 256, 3) RGB."""
        edge = (frames.shape[1] - SIDE) // 2
        middle = frames[:, edge : edge + SIDE, edge : edge + SIDE].astype(np.float32)
        # One frame at a time: a batch is no faster on one thread and needs n times the memory.
        return np.concatenate([self._session.run(None, {self._input: picture[None]})[0] for picture in middle])

    def encode(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The unit vector (64,) of some frames of one content; zeros where the network sees nothing at all."""
        vector = (self.features(frames).mean(axis=0) - self.mean) @ self.projection
        length = float(np.linalg.norm(vector))
        return (vector / length if length > 1e-9 else np.zeros(DIMENSIONS)).astype(np.float32)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `write` wrote, and check it.

        Raises
        ------
        ValueError : when a file is damaged
        OSError : when one is missing
        """
        known = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        for name, sha256 in known.items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != sha256:
                raise ValueError(f"{folder / name} is damaged")
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            return cls((folder / _NETWORK).read_bytes(), arrays["mean"], arrays["projection"])


def directions(classifier: NDArray[np.float32] | None, features: int) -> NDArray[np.float32]:
    """The projection (features, 64), see the module docstring.

    >>> directions(None, 100).shape
    (100, 64)
    """
    if classifier is None or min(classifier.shape) < DIMENSIONS:
        normal = np.random.default_rng(0).normal(size=(features, DIMENSIONS))
        return np.linalg.qr(normal)[0].astype(np.float32)
    centred = classifier.astype(np.float64) - classifier.mean(axis=0, dtype=np.float64)
    # Eigenvectors of the smaller product, largest first; ten times faster than all singular vectors.
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return np.ascontiguousarray(vectors[:, ::-1][:, :DIMENSIONS], np.float32)


def write(folder: Path, backbone: Backbone) -> None:
    """Write an encoder into a new folder, all of it or nothing; an existing folder is left alone."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder.parent) as scratch:
        partial = Path(scratch) / folder.name
        partial.mkdir()
        (partial / _NETWORK).write_bytes(backbone.onnx)
        arrays: dict[str, Any] = {
            "mean": backbone.mean,
            "projection": directions(backbone.classifier, len(backbone.mean)),
        }
        np.savez(partial / _ARRAYS, **arrays)
        files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(partial.iterdir())}
        (partial / _MANIFEST).write_text(json.dumps(files, indent=2), encoding="utf-8")
        try:
            os.rename(partial, folder)
        except OSError:
            if not (folder / _MANIFEST).exists():
                raise


def is_written(folder: Path) -> bool:
    """Whether there is an encoder in a folder."""
    return (folder / _MANIFEST).exists()
