"""What serving loads of a model: a folder with the ONNX graph and a manifest, checked before it is trusted.

    <version>/ranker.onnx       the network, standardisation included
    <version>/manifest.json     version, feature set, dimensions, metrics, config, SHA-256 of every other file

No pickle, no TensorFlow: a bundle is data, and the web process runs it with ONNX Runtime on one thread. A bundle that
was trained with another feature list than the one in the code is refused, because its columns would mean something
else.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

GRAPH_FILE = "ranker.onnx"
MANIFEST_FILE = "manifest.json"


class BundleError(RuntimeError):
    """A bundle that cannot be used: missing, damaged or not JSON."""


class FeatureSetError(BundleError):
    """A bundle trained with another feature list than the one in the code."""


class NonFiniteScoresError(BundleError):
    """The graph gave NaN or infinity for the features it was asked about."""


class Blocks(Protocol):
    """The features of one request, as `features.extraction` assembles them."""

    @property
    def user(self) -> NDArray[np.float32]:
        """(USER_DIM,)"""

    @property
    def content(self) -> NDArray[np.float32]:
        """(n, CONTENT_DIM)"""

    @property
    def context(self) -> NDArray[np.float32]:
        """(n, CONTEXT_DIM)"""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says of itself; plain JSON on disk."""

    version: str
    kind: str
    feature_set: str
    dims: dict[str, int]
    trained_until: str
    config: dict[str, Any]
    metrics: dict[str, Any]
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class ServingBundle:
    """A loaded model. Safe to share between threads: ONNX Runtime sessions are, and nothing here changes."""

    manifest: Manifest
    session: onnxruntime.InferenceSession

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def feature_set(self) -> str:
        return self.manifest.feature_set

    def score(self, blocks: Blocks) -> NDArray[np.float32]:
        """Probability of a satisfied watch for each of the n contents, float32 (n,); empty for n = 0.

        Raises
        ------
        ValueError : when a block has another width than in training
        NonFiniteScoresError : when a score is not finite; the caller falls back to its light ranker
        """
        n = len(blocks.content)
        user = np.broadcast_to(blocks.user, (n, blocks.user.shape[-1]))
        given = {"user": user, "content": blocks.content, "context": blocks.context}
        return self.score_rows({name: np.ascontiguousarray(block, np.float32) for name, block in given.items()})

    def score_rows(self, given: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """The same with one row of user features per content: arrays (n, dim) by the names of `manifest.dims`."""
        for name, width in self.manifest.dims.items():
            if given[name].shape[1] != width:
                raise ValueError(f"{name} features are {given[name].shape[1]} wide; {self.version} takes {width}")
        if len(given["content"]) == 0:
            return np.empty(0, np.float32)
        scores = np.asarray(self.session.run(None, given)[0], np.float32).reshape(-1)
        if not np.isfinite(scores).all():
            broken = int(np.count_nonzero(~np.isfinite(scores)))
            raise NonFiniteScoresError(f"{self.version} gave {broken} of {len(scores)} scores that are not finite")
        return scores


def save(folder: Path, graph: bytes, *, manifest: Manifest) -> dict[str, str]:
    """Write a bundle into an existing empty folder; returns file name to SHA-256, manifest included.

    `manifest.files` is ignored and filled with what was really written.
    """
    (folder / GRAPH_FILE).write_bytes(graph)
    files = {GRAPH_FILE: hashlib.sha256(graph).hexdigest()}
    content = json.dumps(_as_json(manifest) | {"files": files}, indent=2, sort_keys=True).encode()
    (folder / MANIFEST_FILE).write_bytes(content)
    return files | {MANIFEST_FILE: hashlib.sha256(content).hexdigest()}


def load(folder: Path, *, feature_set: str, manifest_sha256: str | None = None) -> ServingBundle:
    """Read and check a bundle.

    Parameters
    ----------
    feature_set : the feature list of the code; a bundle of another one is refused
    manifest_sha256 : what the registry noted of the manifest, so that it cannot have been swapped unnoticed

    Raises
    ------
    FeatureSetError : for a bundle of another feature list
    BundleError : for one that is missing or damaged, naming the file
    """
    manifest = _read_manifest(folder / MANIFEST_FILE, manifest_sha256)
    if manifest.feature_set != feature_set:
        raise FeatureSetError(
            f"{manifest.version} was trained with feature set {manifest.feature_set}, the code has {feature_set}"
        )
    contents = {name: _read_checked(folder / name, sha256) for name, sha256 in manifest.files.items()}
    if GRAPH_FILE not in contents:
        raise BundleError(f"{folder / MANIFEST_FILE} does not list {GRAPH_FILE}")
    options = onnxruntime.SessionOptions()
    # One request is one small matrix: a second thread costs more in waking up than it computes.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(contents[GRAPH_FILE], options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises classes of its C++ side that share no base but this one
        raise BundleError(f"{folder / GRAPH_FILE} is not a graph ONNX Runtime can run: {error}") from error
    return ServingBundle(manifest, session)


def _as_json(manifest: Manifest) -> dict[str, Any]:
    return {name: getattr(manifest, name) for name in Manifest.__dataclass_fields__}


def _read_manifest(path: Path, sha256: str | None) -> Manifest:
    content = _read_checked(path, sha256)
    try:
        return Manifest(**json.loads(content))
    except (ValueError, TypeError) as error:
        raise BundleError(f"{path} is not a manifest: {error}") from error


def _read_checked(path: Path, sha256: str | None) -> bytes:
    """The file's bytes, after comparing their hash where one is known."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from error
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise BundleError(f"{path} is damaged: its SHA-256 is {found[:12]}..., not {sha256[:12]}...")
    return content
