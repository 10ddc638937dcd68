"""What serving loads of a model: a folder with the ONNX graph and a manifest, checked before it is trusted.

    <version>/ranker.onnx       the network, standardisation included
    <version>/heads.npz         how its outputs become calibrated heads, see `reading`
    <version>/retrieval.npz     where a retriever was trained with it; encoder.onnx where that has an encoder
    <version>/manifest.json     version, feature set, dimensions, metrics, config, SHA-256 of every other file

A bundle without `heads.npz` was made before there were heads: its graph gives the probability of a long view, and the
other heads say their priors.

No pickle, no TensorFlow: a bundle is data, and the web process runs it with ONNX Runtime on one thread. A bundle that
was trained with another feature list than the one in the code is refused, because its columns would mean something
else.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ranking.ranker.heads import COLUMN, PRIMARY
from ranking.ranker.reading import OUTPUTS, Reading, ReadingError
from ranking.ranker.training_set import duration_of
from ranking.retrieval.retriever import Retriever, RetrieverFileError

GRAPH_FILE = "ranker.onnx"
HEADS_FILE = "heads.npz"
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
    """What a bundle says of itself; plain JSON on disk. `fusion` holds factors on the weights of the hybrid."""

    version: str
    kind: str
    feature_set: str
    dims: dict[str, int]
    trained_until: str
    config: dict[str, Any]
    metrics: dict[str, Any]
    files: dict[str, str]
    fusion: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServingBundle:
    """A loaded model. Safe to share between threads: ONNX Runtime sessions are, and nothing here changes.

    `retriever` finds candidates where one was trained and its evidence held; without it the snapshot's model does.
    """

    manifest: Manifest
    session: onnxruntime.InferenceSession
    reading: Reading
    retriever: Retriever | None = None

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def feature_set(self) -> str:
        return self.manifest.feature_set

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the columns of `heads` are: chances of `heads.HEADS`, then expected seconds."""
        return OUTPUTS

    def heads(self, blocks: Blocks) -> NDArray[np.float32]:
        """All heads of each of the n contents in one call of the graph: float32 (n, outputs); no rows for n = 0.

        Raises
        ------
        ValueError : when a block has another width than in training
        NonFiniteScoresError : when a figure is not finite; the caller falls back to its light ranker
        """
        n = len(blocks.content)
        user = np.broadcast_to(blocks.user, (n, blocks.user.shape[-1]))
        given = {"user": user, "content": blocks.content, "context": blocks.context}
        return self.head_rows({name: np.ascontiguousarray(block, np.float32) for name, block in given.items()})

    def head_rows(self, given: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """The same with one row of user features per content: arrays (n, dim) by the names of `manifest.dims`."""
        for name, width in self.manifest.dims.items():
            if given[name].shape[1] != width:
                raise ValueError(f"{name} features are {given[name].shape[1]} wide; {self.version} takes {width}")
        content = given["content"]
        if len(content) == 0:
            return np.empty((0, len(OUTPUTS)), np.float32)
        raw = np.asarray(self.session.run(None, dict(given))[0], np.float32).reshape(len(content), -1)
        told = self.reading.read(raw, duration_of(content) if self.reading.has_levels else np.empty(0, np.float32))
        broken = int(np.count_nonzero(~(np.isfinite(raw).all(axis=1) & np.isfinite(told).all(axis=1))))
        if broken:
            raise NonFiniteScoresError(f"{self.version} gave {broken} of {len(told)} scores that are not finite")
        return told

    def score(self, blocks: Blocks) -> NDArray[np.float32]:
        """Chance of a long view for each of the n contents, float32 (n,); raises as `heads` does."""
        return np.asarray(self.heads(blocks)[:, COLUMN[PRIMARY]])

    def score_rows(self, given: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """The same with one row of user features per content."""
        return np.asarray(self.head_rows(given)[:, COLUMN[PRIMARY]])


def save(
    folder: Path,
    graph: bytes,
    heads: bytes | None = None,
    *,
    manifest: Manifest,
    retriever: Mapping[str, bytes] | None = None,
) -> dict[str, str]:
    """Write a bundle into an existing empty folder; returns file name to SHA-256, manifest included.

    `heads` is a `Reading` as bytes, `retriever` a `Retriever` as files. `manifest.files` is ignored and filled with
    what was really written.
    """
    contents = {GRAPH_FILE: graph} | ({} if heads is None else {HEADS_FILE: heads}) | dict(retriever or {})
    files = {}
    for name, written in contents.items():
        (folder / name).write_bytes(written)
        files[name] = sha256_of(written)
    content = json.dumps(_as_json(manifest) | {"files": files}, indent=2, sort_keys=True).encode()
    (folder / MANIFEST_FILE).write_bytes(content)
    return files | {MANIFEST_FILE: sha256_of(content)}


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
    contents = {name: read_checked(folder / name, sha256) for name, sha256 in manifest.files.items()}
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
    try:
        reading = Reading.from_bytes(contents[HEADS_FILE]) if HEADS_FILE in contents else Reading.of_long_view()
    except ReadingError as error:
        raise BundleError(f"{folder / HEADS_FILE} cannot be read: {error}") from error
    try:
        retriever = Retriever.from_files(contents)
    except RetrieverFileError as error:
        raise BundleError(f"the retriever in {folder} cannot be read: {error}") from error
    return ServingBundle(manifest, session, reading, retriever)


def _as_json(manifest: Manifest) -> dict[str, Any]:
    return {name: getattr(manifest, name) for name in Manifest.__dataclass_fields__}


def _read_manifest(path: Path, sha256: str | None) -> Manifest:
    content = read_checked(path, sha256)
    try:
        return Manifest(**json.loads(content))
    except (ValueError, TypeError) as error:
        raise BundleError(f"{path} is not a manifest: {error}") from error


def sha256_of(content: bytes) -> str:
    """The hash that a registry and a manifest note of a file."""
    return hashlib.sha256(content).hexdigest()


def read_checked(path: Path, sha256: str | None) -> bytes:
    """The file's bytes, after comparing their hash where one is known; BundleError where they cannot be trusted."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from error
    found = sha256_of(content)
    if sha256 is not None and found != sha256:
        raise BundleError(f"{path} is damaged: its SHA-256 is {found[:12]}..., not {sha256[:12]}...")
    return content
