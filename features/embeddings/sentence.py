"""Sentences to vectors that know what words mean: WordLlama, whose model lies inside its package.

WordLlama (Miller, 2024) is the mean of token vectors distilled from large language models: "kitten" is near "cat"
without a catalogue that says so. Its vectors are Matryoshka: the first 64 of the 256 numbers are a good shorter vector.

    text -> tokens (at most 256) -> mean of their vectors (256,) -> unit length

The package's own loader looks for the tokenizer in a folder that it does not ship and then asks the network; the two
files are read here instead, and nothing is ever fetched.
"""

import importlib.util
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

DIMENSIONS: Final = 256
SHORT_DIMENSIONS: Final = 64
_MAX_CHARACTERS: Final = 2_000
_MAX_TOKENS: Final = 256
_WEIGHTS, _TOKENIZER = "weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json"


class SentenceEncoder:
    """Encodes texts; loading takes 0.3 s and 40 MB."""

    def __init__(self) -> None:
        from safetensors import safe_open  # noqa: PLC0415  a web worker encodes no text
        from tokenizers import Tokenizer  # noqa: PLC0415

        folder = _package()
        with safe_open(folder / _WEIGHTS, framework="np") as file:
            self._vectors: NDArray[np.float16] = file.get_tensor("embedding.weight")
        self._tokenizer: Any = Tokenizer.from_file(str(folder / _TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_MAX_TOKENS)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, float32 (n, 256); zero rows for texts without a token."""
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        short = [text[:_MAX_CHARACTERS] for text in texts]
        for at, found in enumerate(self._tokenizer.encode_batch(short, add_special_tokens=False)):
            if found.ids:
                vectors[at] = self._vectors[found.ids].astype(np.float32).mean(axis=0)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, length, out=vectors, where=length > 1e-9)
        return vectors


def version() -> str:
    """What tells vectors of two models apart."""
    return f"sentence-wl{metadata.version('wordllama')}"


def _package() -> Path:
    """The folder of the package, without importing it: the import sets up logging for the whole process."""
    spec = importlib.util.find_spec("wordllama")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package wordllama is not installed")
    return Path(spec.origin).parent
