"""The fused retriever that serves, in the rows of one snapshot, and its files.

    score = sum over channels of weight * (x - mean) / deviation          over the contents, for each person

The linear model is that of the snapshot, refitted with every one; what was met, the encoder and the weights come with
the ranker's bundle, in ids of contents. What is the same for everybody is added up once per snapshot.
"""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.embeddings import encoder as encoders
from features.embeddings.behaviour import SequentialItemModel
from features.embeddings.encoder import SequenceEncoder
from features.embeddings.fusion import Fusion, standardised
from ranking.retrieval.channels import Floats, Ids, Models, Table, parts_of

ARRAYS_FILE: Final = "retrieval.npz"
GRAPH_FILE: Final = "encoder.onnx"
_FORMAT: Final = 1
_MET: Final = "met_"
_ENCODER: Final = ("items", "vector", "bias")

Find = Callable[[Ids, Ids], Table]
"""Rows enjoyed and rows met, oldest first, to one score per content."""


class RetrieverFileError(ValueError):
    """Files that hold no retriever."""


@dataclass(frozen=True, slots=True)
class Retriever:
    """What comes with a bundle; rows are places in `contents`.

    Attributes
    ----------
    contents : ids of the contents that the models know
    """

    contents: tuple[str, ...]
    met: SequentialItemModel | None
    encoder: SequenceEncoder | None
    weights: Fusion

    @classmethod
    def of(cls, models: Models, weights: Fusion, content_id: NDArray[np.object_]) -> "Retriever":
        """Of models in rows of a snapshot with these ids, without the contents that none of them knows."""
        known = np.zeros(len(content_id), np.bool_)
        for items in (each.items for each in (models.met, models.encoder) if each is not None):
            known[items[items >= 0]] = True
        row, size = np.where(known, np.cumsum(known) - 1, -1), int(known.sum())
        return cls(
            tuple(content_id[known].tolist()), models.met and models.met.on(row, size),
            models.encoder and models.encoder.on(row, size), weights,
        )  # fmt: skip

    def finder(
        self, row_of: Mapping[str, int], n: int, linear: SequentialItemModel, shared: Mapping[str, Floats]
    ) -> Find:
        """For a snapshot of n contents with its linear model.

        Parameters
        ----------
        shared : the shared channels of the snapshot, (n,) each; one that is missing adds nothing
        """
        row = np.array([row_of.get(each, -1) for each in self.contents], np.int64)
        weight = self.weights.weights
        following, taste = parts_of(linear)
        asked: list[tuple[float, Callable[[Ids, Ids], Table]]] = [
            (weight.get("next", 0.0), lambda enjoyed, _met: following.scores(enjoyed)),
            (weight.get("taste", 0.0), lambda enjoyed, _met: taste.scores(enjoyed)),
        ]
        if self.met is not None:
            meetings = self.met.on(row, n)
            asked.append((weight.get("met", 0.0), lambda _enjoyed, met: meetings.scores(met)))
        if self.encoder is not None:
            encoder = self.encoder.on(row, n)
            asked.append((weight.get("encoder", 0.0), lambda enjoyed, _met: encoder.scores(enjoyed)))
        base = np.zeros(n, np.float32)
        for name, values in shared.items():
            base += np.float32(weight.get(name, 0.0)) * standardised(values)
        asked = [(each, ask) for each, ask in asked if each]

        def find(enjoyed: Ids, met: Ids) -> Table:
            total = base.copy()
            for each, ask in asked:
                total += np.float32(each) * standardised(ask(enjoyed, met))
            return total

        return find

    def to_files(self) -> dict[str, bytes]:
        """File name to content; `from_files` reads them."""
        arrays: dict[str, Any] = {
            "format": np.array(_FORMAT), "contents": _packed(self.contents),
            "weights": _packed([json.dumps(dict(self.weights.weights), sort_keys=True)]),
        }  # fmt: skip
        if self.met is not None:
            arrays |= {f"{_MET}{each.name}": getattr(self.met, each.name) for each in fields(self.met)}
        if self.encoder is not None:
            arrays |= {f"encoder_{name}": getattr(self.encoder, name) for name in _ENCODER}
        written = io.BytesIO()
        np.savez(written, **arrays)
        files = {ARRAYS_FILE: written.getvalue()}
        return files if self.encoder is None else files | {GRAPH_FILE: self.encoder.graph}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "Retriever | None":
        """Read what `to_files` wrote; None where nothing was.

        Raises
        ------
        RetrieverFileError : for anything else
        """
        if ARRAYS_FILE not in files:
            return None
        try:
            with np.load(io.BytesIO(files[ARRAYS_FILE]), allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            if int(arrays["format"]) != _FORMAT:
                raise RetrieverFileError(f"its format is {arrays['format']}, not {_FORMAT}")
            contents = tuple(_unpacked(arrays["contents"]))
            weights = Fusion(
                {name: float(value) for name, value in json.loads(_unpacked(arrays["weights"])[0]).items()}
            )
            met = encoder = None
            if f"{_MET}items" in arrays:
                met = SequentialItemModel(**{f.name: arrays[f"{_MET}{f.name}"] for f in fields(SequentialItemModel)})
            if "encoder_items" in arrays:
                encoder = _encoder(
                    files[GRAPH_FILE], {name: arrays[f"encoder_{name}"] for name in _ENCODER}, len(contents)
                )
        except RetrieverFileError:
            raise
        except (KeyError, ValueError, TypeError, IndexError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise RetrieverFileError(f"it is not what `to_files` writes: {error}") from error
        return cls(contents, met, encoder, weights)


def _encoder(graph: bytes, arrays: Mapping[str, NDArray[Any]], rows: int) -> SequenceEncoder:
    try:
        return encoders.of_graph(graph, arrays["items"], arrays["vector"], arrays["bias"], rows)
    except Exception as error:  # ONNX Runtime raises classes of its C++ side that share no base but this one
        raise RetrieverFileError(f"its encoder cannot be used: {error}") from error


def _packed(names: tuple[str, ...] | list[str]) -> NDArray[np.uint8]:
    """Ids as bytes; they hold no control characters."""
    return np.frombuffer("".join(f"{each}\n" for each in names).encode(), np.uint8)


def _unpacked(packed: NDArray[Any]) -> list[str]:
    return packed.tobytes().decode().split("\n")[:-1]
