"""A sequence encoder: the last hundred contents a user enjoyed as one vector, next contents as inner products with it.

Self-attention over the sequence (SASRec; Kang and McAuley, 2018) with what has since been found to matter: the loss
is the full softmax over the catalogue (Petrov and Macdonald, 2023), places are told apart by a learned bias per
distance that starts as a decay (ALiBi; Press, Smith and Lewis, 2022), and the vectors of contents start from the linear
model of `behaviour` and not from noise. The last is worth most on a small machine: on MovieLens-1M the first pass over
the data finds what random vectors need seven for.

Training is in `encoder_training`, a worker's business. What serves is here: an ONNX graph, two arrays, no TensorFlow.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

GRAPH_FILE: Final = "encoder.onnx"
ARRAYS_FILE: Final = "encoder.npz"
MANIFEST_FILE: Final = "encoder.json"


class EncoderFileError(RuntimeError):
    """A saved encoder that cannot be used: damaged, incomplete or of another shape than its arrays."""


@dataclass(frozen=True, slots=True)
class SequenceEncoder:
    """The encoder in rows of one snapshot; m items, n contents, d dimensions.

    Attributes
    ----------
    items : int64 array (m,), rows of the items, -1 for one that has no row any more
    item_of_row : int32 array (n,), the item of a row, -1 for contents that are no item
    vector : float32 array (m, d), of the items
    bias : float32 array (m,), how likely each is next whoever asks
    graph : the ONNX file
    session : of ONNX Runtime, on one thread; shared between threads
    """

    items: NDArray[np.int64]
    item_of_row: NDArray[np.int32]
    vector: NDArray[np.float32]
    bias: NDArray[np.float32]
    graph: bytes
    session: Any

    @property
    def window(self) -> int:
        """How many of the newest contents are looked at."""
        return int(self.session.get_inputs()[0].shape[1])

    def user_vectors(self, sequences: list[NDArray[np.int64]]) -> NDArray[np.float32]:
        """Where users are now, float32 (users, d); zeros for one without a known content.

        Parameters
        ----------
        sequences : rows each user enjoyed, oldest first
        """
        window = self.window
        given = np.zeros((len(sequences), window), np.int32)
        for place, rows in zip(given, sequences, strict=True):
            item = self.item_of_row[rows]
            known = item[item >= 0][-window:]
            # 0 says "nothing here"; sequences end at the right.
            place[window - len(known) :] = known + 1
        if len(given) == 0:
            return np.empty((0, self.vector.shape[1]), np.float32)
        vectors = np.asarray(self.session.run(None, {"items": given})[0], np.float32)
        vectors[~given.any(axis=1)] = 0.0
        return vectors

    def scores(self, positives: NDArray[np.int64]) -> NDArray[np.float32]:
        """One score per content of the snapshot, float32 (n,); higher means more likely next.

        Contents that are no item get the lowest score of all; without a known content all get 0.
        """
        return np.asarray(self.scores_of_many([positives])[0])

    def scores_of_many(self, sequences: list[NDArray[np.int64]]) -> NDArray[np.float32]:
        """The same for several users, float32 (users, n)."""
        vectors = self.user_vectors(sequences)
        known = vectors.any(axis=1)
        found = vectors[known] @ self.vector.T + self.bias
        result = np.zeros((len(sequences), len(self.item_of_row)), np.float32)
        result[known] = found.min(axis=1, keepdims=True)
        here = self.items >= 0
        result[np.ix_(known, self.items[here])] = found[:, here]
        return result

    def on(self, row: NDArray[np.int64], n: int) -> "SequenceEncoder":
        """The same encoder for a snapshot of n contents; `row` says where each content went, negative for nowhere.

        An item that has no row any more keeps its place in the graph and is never found.
        """
        moved = np.where(self.items >= 0, row[self.items], -1)
        return _of_rows(moved, self.vector, self.bias, self.graph, self.session, n)

    def save(self, folder: Path) -> None:
        """Write the graph, the arrays and their SHA-256 into an existing folder."""
        (folder / GRAPH_FILE).write_bytes(self.graph)
        np.savez(folder / ARRAYS_FILE, items=self.items, vector=self.vector, bias=self.bias, rows=len(self.item_of_row))
        hashes = {name: _sha256(folder / name) for name in (GRAPH_FILE, ARRAYS_FILE)}
        (folder / MANIFEST_FILE).write_text(json.dumps(hashes, indent=2, sort_keys=True))

    @classmethod
    def load(cls, folder: Path) -> "SequenceEncoder | None":
        """Read what `save` wrote; None where nothing was. EncoderFileError names a damaged file."""
        if not (folder / MANIFEST_FILE).exists():
            return None
        try:
            hashes = json.loads((folder / MANIFEST_FILE).read_text())
            for name in (GRAPH_FILE, ARRAYS_FILE):
                if _sha256(folder / name) != hashes[name]:
                    raise EncoderFileError(f"{folder / name} is damaged: its SHA-256 is not the noted one")
            with np.load(folder / ARRAYS_FILE, allow_pickle=False) as arrays:
                columns = {name: arrays[name] for name in ("items", "vector", "bias", "rows")}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EncoderFileError(f"{folder} holds no encoder: {error}") from error
        return of_graph((folder / GRAPH_FILE).read_bytes(), **columns)


def of_graph(
    graph: bytes, items: NDArray[np.int64], vector: NDArray[np.float32], bias: NDArray[np.float32], rows: int
) -> SequenceEncoder:
    """The encoder of an ONNX file and its arrays, for a snapshot of `rows` contents."""
    import onnxruntime  # noqa: PLC0415  only where an encoder is

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    width = session.get_outputs()[0].shape[-1]
    if width != vector.shape[1]:
        raise EncoderFileError(f"the graph gives {width} dimensions, the items have {vector.shape[1]}")
    return _of_rows(items, vector, bias, graph, session, int(rows))


def _of_rows(
    items: NDArray[np.int64],
    vector: NDArray[np.float32],
    bias: NDArray[np.float32],
    graph: bytes,
    session: Any,
    n: int,
) -> SequenceEncoder:
    item_of_row = np.full(n, -1, np.int32)
    here = items >= 0
    item_of_row[items[here]] = np.flatnonzero(here)
    return SequenceEncoder(items, item_of_row, vector, bias, graph, session)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
