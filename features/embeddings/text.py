"""Text to vectors: TF-IDF over the 500 most frequent words, reduced by a singular value decomposition.

The source design stops at TF-IDF. The reduction (latent semantic analysis) makes the vectors dense and short, and lets
captions that share no word be alike when their words occur together elsewhere.

    "neon city night"  ->  tf * idf, unit length (<= 500,)  ->  components  ->  unit length (<= 64,)

scikit-learn learns vocabulary, weights and components; applying them is a few lines of numpy, so that a loaded encoder
gives the very same bits as the fitted one, and only fitting imports scikit-learn.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

MAX_WORDS = 500
MAX_DIMENSIONS = 64
_WORD = re.compile(r"(?u)\b\w\w+\b")
_ARRAYS, _WORDS = "text_encoder.npz", "text_encoder.json"


class TextEncoder:
    """Encoder of short texts; scikit-learn's fit and transform.

    Attributes
    ----------
    words_ : list of str (v,), the vocabulary in the order of the columns
    idf_ : float64 array (v,), `ln((1 + texts) / (1 + texts with the word)) + 1`
    components_ : float64 array (d, v), directions of largest variation
    version_ : hash of all of these
    """

    words_: list[str]
    idf_: NDArray[np.float64]
    components_: NDArray[np.float64]
    version_: str

    def __init__(self, max_words: int = MAX_WORDS, max_dimensions: int = MAX_DIMENSIONS) -> None:
        self.max_words = max_words
        self.max_dimensions = max_dimensions

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn words and directions; without any word, every text gets the zero vector of one dimension."""
        from sklearn.decomposition import TruncatedSVD  # noqa: PLC0415  a web worker never fits: 1.3 s, 190 MB
        from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415

        distinct = sorted({text for text in texts if _WORD.search(text)})
        if not distinct:
            return self._learn([], np.empty(0), np.empty((1, 0)))
        # Distinct texts only: a template posted a thousand times must not own the directions.
        vectorizer = TfidfVectorizer(max_features=self.max_words)
        weights = vectorizer.fit_transform(distinct)
        words = [str(word) for word in vectorizer.get_feature_names_out()]
        dimensions = min(self.max_dimensions, len(words), len(distinct))
        if dimensions == len(words):
            return self._learn(words, vectorizer.idf_, np.eye(len(words)))
        with np.errstate(invalid="ignore"):
            # Texts that are all alike have no variance to explain; the ratio 0 / 0 is not used here.
            svd = TruncatedSVD(dimensions, random_state=0).fit(weights)
        return self._learn(words, vectorizer.idf_, svd.components_)

    def transform(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of the texts, float32 (n, d), of unit length; zero rows for texts without a known word."""
        column = {word: at for at, word in enumerate(self.words_)}
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for at, text in enumerate(texts):
            counts = Counter(column[word] for word in _WORD.findall(text.lower()) if word in column)
            if counts:
                columns = np.fromiter(counts.keys(), np.int64, len(counts))
                weights = np.fromiter(counts.values(), np.float64, len(counts)) * self.idf_[columns]
                vector = self.components_[:, columns] @ weights
                length = float(np.linalg.norm(vector))
                # A text whose every word lies outside the kept directions has none.
                if length > 1e-9 * float(np.linalg.norm(weights)):
                    vectors[at] = vector / length
        return vectors

    def has_outlived(self, texts: Iterable[str]) -> bool:
        """Whether it knows a word that stands in none of the texts.

        >>> encoder = TextEncoder().fit(["neon city", "neon night"])
        >>> encoder.has_outlived(["City of neon", "night"]), encoder.has_outlived(["neon night"])
        (False, True)
        """
        left = set(self.words_)
        for text in texts:
            if not left:
                break
            left.difference_update(_WORD.findall(text.lower()))
        return bool(left)

    @property
    def dimensions(self) -> int:
        """d, at most `max_dimensions`; fewer for a small vocabulary."""
        return len(self.components_)

    def save(self, folder: Path) -> None:
        """Write `text_encoder.npz` and `text_encoder.json` into an existing folder."""
        np.savez(folder / _ARRAYS, idf=self.idf_, components=self.components_)
        known = {"words": self.words_, "max_words": self.max_words, "max_dimensions": self.max_dimensions}
        (folder / _WORDS).write_text(json.dumps(known), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        known = json.loads((folder / _WORDS).read_text(encoding="utf-8"))
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            encoder = cls(known["max_words"], known["max_dimensions"])
            return encoder._learn(known["words"], arrays["idf"], arrays["components"])

    def _learn(self, words: list[str], idf: NDArray[np.float64], components: NDArray[np.float64]) -> Self:
        self.words_, self.idf_, self.components_ = words, idf, components
        digest = hashlib.sha256(json.dumps(words).encode())
        digest.update(np.ascontiguousarray(idf).tobytes())
        digest.update(np.ascontiguousarray(components).tobytes())
        self.version_ = digest.hexdigest()[:12]
        return self


def text_hash(text: str) -> int:
    """64 bits that tell whether a text changed."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
