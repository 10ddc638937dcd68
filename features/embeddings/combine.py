"""One vector per content from its words, its sentence, its frames and its sound, whichever of them there are.

    block_m = sqrt(share_m) * unit(v_m - mean_m)     for each modality m there is, zeros for the others
    vector  = unit(block_words | block_sentence | block_visual | block_audio)

The source design concatenates three raw vectors, so that the one with the largest numbers is the whole. Here, with
c_m the cosine within a modality and S a content's own sum of shares, two contents x and y have the cosine

    sum over m in both of share_m * c_m / sqrt(S_x * S_y)

What follows from it, and is why contents with different modalities can stand in one index:

- Unrelated contents have an expected cosine of 0, whatever either of them lacks, because every modality is centred:
  a missing modality says nothing, neither "alike" nor "different". Zeros put in for a missing vector that is not
  centred would say "different" to every content that has it.
- The same content, seen with and without a modality, has the cosine sqrt(S_part / S_whole): 0.71 for text alone
  against everything.
- Contents of one set of modalities compare as if there were no others.

A vector that the host app gives a content ("given") is not blended with these: it stands alone, in dimensions of its
own, and all other blocks of that content are zero. So two given vectors have the cosine of their centred selves, and a
given one has the cosine 0 with everything that was computed: neither alike nor different, for nobody knows. Contents
with and without one find their neighbours among themselves.

Means are fitted on a catalogue and drawn towards the encoders' own zero while there is little to fit them on (`n / (n +
200)` of the catalogue's mean). They are stored with the snapshot and never fitted by a call that encodes.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from features.embeddings.text import TextEncoder

SHARES: Final = {"words": 0.2, "sentence": 0.3, "visual": 0.35, "audio": 0.15}
"""Of the squared length when all are there. Text leads: it is what people search and name things by."""
DIMENSIONS: Final = {"sentence": 64, "visual": 64, "audio": 80}
GIVEN: Final = "given"
MAX_WORD_DIMENSIONS: Final = 32
PRIOR_CONTENTS: Final = 200
_ARRAYS, _KNOWN = "content_encoder.npz", "content_encoder.json"
_EMPTY: Final = 1e-6

Blocks = Mapping[str, NDArray[np.float32]]


class ContentEncoder:
    """Combines modalities.

    Attributes
    ----------
    text_ : TextEncoder of the words
    versions_ : mapping of "sentence", "visual", "audio" to the version of the encoder whose vectors are combined, and
        of "given" to the space of the host app's own, where there is one
    means_ : mapping of the same to float32 arrays, what is taken off before they are; empty without such a space
    contents_ : mapping of "words" and the same to how many contents were fitted on
    version_ : hash of all of these, as in the column `encoder` of a stored vector
    """

    text_: TextEncoder
    versions_: dict[str, str]
    means_: dict[str, NDArray[np.float32]]
    contents_: dict[str, int]
    version_: str

    def fit(self, texts: Sequence[str], samples: Blocks, versions: Mapping[str, str]) -> Self:
        """Learn words and means.

        Parameters
        ----------
        texts : all texts of the catalogue
        samples : unit vectors by modality, each (contents that have it, d); those given tell how many dimensions they
            have by their shape, even where there is none yet
        versions : of the encoders that made them
        """
        means, contents = {}, {"words": len(texts)}
        given = samples[GIVEN].shape[1] if GIVEN in samples else 0
        for name, dimensions in {**DIMENSIONS, GIVEN: given}.items():
            vectors = samples.get(name, np.empty((0, dimensions), np.float32))
            total = vectors[:, :dimensions].sum(axis=0, dtype=np.float64)
            means[name] = (total / (len(vectors) + PRIOR_CONTENTS)).astype(np.float32)
            contents[name] = len(vectors)
        text = TextEncoder(max_dimensions=MAX_WORD_DIMENSIONS).fit(texts)
        return self._learn(text, dict(versions), means, contents)

    def transform(self, texts: Sequence[str], blocks: Blocks) -> NDArray[np.float32]:
        """Vectors of n contents, float32 (n, d), of unit length; zero rows where there is nothing of any modality.

        Parameters
        ----------
        texts : n texts
        blocks : by modality (n, at least its dimensions); zero rows where a content has none
        """
        parts = [_unit(self.text_.transform(texts)) * _root(SHARES["words"])]
        parts += [self._centred(name, blocks.get(name), len(texts)) * _root(SHARES[name]) for name in DIMENSIONS]
        given = self._centred(GIVEN, blocks.get(GIVEN), len(texts))
        alone = given.any(axis=1)
        for part in parts:
            part[alone] = 0.0
        return _unit(np.concatenate([*parts, given], axis=1))

    @property
    def dimensions(self) -> int:
        """d; smaller for a small vocabulary."""
        return self.text_.dimensions + sum(DIMENSIONS.values()) + self.given_dimensions

    @property
    def given_dimensions(self) -> int:
        """Of these, those of the vectors that the host app gives; 0 where it gives none."""
        return len(self.means_[GIVEN])

    def outgrown_by(self, contents: Mapping[str, int], *, growth: float) -> bool:
        """Whether any modality has grown by more than a share since the fit; below 200 contents means hardly move."""
        return any(
            count > (1.0 + growth) * self.contents_.get(name, 0) and (name == "words" or count > PRIOR_CONTENTS)
            for name, count in contents.items()
        )

    def save(self, folder: Path) -> None:
        """Write `content_encoder.npz`, `content_encoder.json` and the files of the text encoder into a folder."""
        self.text_.save(folder)
        np.savez(folder / _ARRAYS, **self.means_)  # type: ignore[arg-type]  # its stub takes keywords for flags
        known = {"versions": self.versions_, "contents": self.contents_}
        (folder / _KNOWN).write_text(json.dumps(known), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        known = json.loads((folder / _KNOWN).read_text(encoding="utf-8"))
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            means = {name: arrays[name] for name in DIMENSIONS}
            # Encoders of before there were any.
            means[GIVEN] = arrays[GIVEN] if GIVEN in arrays else np.empty(0, np.float32)
        return cls()._learn(TextEncoder.load(folder), known["versions"], means, known["contents"])

    def _centred(self, name: str, vectors: NDArray[np.float32] | None, contents: int) -> NDArray[np.float32]:
        """Unit rows of a modality less its mean; zero rows for contents that have none of it."""
        mean = self.means_[name]
        if vectors is None:
            return np.zeros((contents, len(mean)), np.float32)
        vectors = vectors[:, : len(mean)]
        there = np.abs(vectors).max(axis=1, initial=0.0) > _EMPTY
        return _unit(np.where(there[:, None], vectors - mean, 0.0).astype(np.float32))

    def _learn(
        self,
        text: TextEncoder,
        versions: dict[str, str],
        means: dict[str, NDArray[np.float32]],
        contents: dict[str, int],
    ) -> Self:
        self.text_, self.versions_, self.means_, self.contents_ = text, versions, means, contents
        digest = hashlib.sha256(json.dumps([text.version_, sorted(versions.items()), sorted(SHARES.items())]).encode())
        for name in sorted(means):
            digest.update(means[name].tobytes())
        self.version_ = f"content-{digest.hexdigest()[:12]}"
        return self


def _root(share: float) -> np.float32:
    return np.float32(np.sqrt(share))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of unit length; zero rows stay.

    >>> _unit(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)).astype(float).round(1).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = np.zeros_like(vectors, np.float32)
    np.divide(vectors, length, out=units, where=length > _EMPTY)
    return units
