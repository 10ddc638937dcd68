"""Contents as words, sessions as sentences: skip-gram vectors (the source design's user embeddings, gensim Word2Vec).

    sessions [3, 7, 9], [7, 9, 4]  ->  one 128-d vector per content  ->  user = decayed mean of the last vectors

Kept as a fallback, not as the main source: on MovieLens-1M its plain mean finds what popularity finds, and even with
a decayed query less than half of what the sequential linear model finds; on KuaiRand-Pure it finds less than popularity
does (`manage.py bench retrieval`). What it has over that model is reach: its cost grows with the log and not with the
cube of the catalogue, so it answers for the contents that have no place among the linear model's items.

gensim is imported when something is fitted, never in a web worker; a fitted model is two arrays.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

DIMENSIONS: Final = 128
WINDOW: Final = 5
EPOCHS: Final = 5
QUERY_DECAY: Final = 0.8
QUERY_LENGTH: Final = 20
MIN_WORDS: Final = 40
"""Fewer enjoyments than this teach nothing."""
_FILE: Final = "word2vec.npz"


@dataclass(frozen=True, slots=True)
class ItemVectors:
    """Vectors of m contents, in rows of one snapshot of n contents.

    Attributes
    ----------
    items : int64 array (m,), rows of the contents, ascending
    vector : float32 array (m, 128), of the length they were learned with: what many people enjoy has a longer one,
        and cutting it off halves what is found
    item_of_row : int32 array (n,), the item of a row, -1 for contents without a vector
    """

    items: NDArray[np.int64]
    vector: NDArray[np.float32]
    item_of_row: NDArray[np.int32]

    def user_vector(
        self, positives: NDArray[np.int64], *, decay: float = QUERY_DECAY, last: int | None = QUERY_LENGTH
    ) -> NDArray[np.float32] | None:
        """Where a user is now, a unit vector (128,); None when no vector is known of what they enjoyed.

        Parameters
        ----------
        positives : rows the user enjoyed, oldest first
        decay : weight of each content relative to the next newer one; 1 is the plain mean of the source design
        last : how many of the newest count; None for all
        """
        recent = positives if last is None else positives[-last:]
        item = self.item_of_row[recent][::-1]
        weight = decay ** np.arange(len(item), dtype=np.float64)
        known = item >= 0
        mean = weight[known] @ self.vector[item[known]].astype(np.float64)
        length = float(np.linalg.norm(mean))
        return None if length == 0.0 else np.asarray(mean / length, np.float32)

    def scores(
        self, positives: NDArray[np.int64], *, decay: float = QUERY_DECAY, last: int | None = QUERY_LENGTH
    ) -> NDArray[np.float32]:
        """Inner product of every content with `user_vector`, float32 (n,); 0 where either is unknown."""
        result = np.zeros(len(self.item_of_row), np.float32)
        vector = self.user_vector(positives, decay=decay, last=last)
        if vector is not None:
            result[self.items] = self.vector @ vector
        return result

    def on(self, row: NDArray[np.int64], n: int) -> "ItemVectors":
        """The same vectors for a snapshot of n contents; `row` says where each content went, negative for nowhere."""
        moved = row[self.items]
        kept = np.flatnonzero(moved >= 0)
        kept = kept[np.argsort(moved[kept])]
        return of_rows(moved[kept], self.vector[kept], n)

    def save(self, folder: Path) -> None:
        """Write `word2vec.npz` into an existing folder."""
        np.savez(folder / _FILE, items=self.items, vector=self.vector, rows=np.array(len(self.item_of_row)))

    @classmethod
    def load(cls, folder: Path) -> "ItemVectors | None":
        """Read what `save` wrote; None where nothing was."""
        if not (folder / _FILE).exists():
            return None
        with np.load(folder / _FILE, allow_pickle=False) as arrays:
            return of_rows(arrays["items"], arrays["vector"], int(arrays["rows"]))


def of_rows(items: NDArray[np.int64], vector: NDArray[np.float32], n: int) -> ItemVectors:
    """`ItemVectors` of ascending rows of a snapshot of n contents."""
    item_of_row = np.full(n, -1, np.int32)
    item_of_row[items] = np.arange(len(items))
    return ItemVectors(items, vector, item_of_row)


def fit(
    session: NDArray[np.int64],
    row: NDArray[np.int64],
    n: int,
    *,
    dimensions: int = DIMENSIONS,
    epochs: int = EPOCHS,
    seed: int = 1,
) -> ItemVectors | None:
    """Learn vectors from sentences of contents; None where there are fewer than 40 words.

    Parameters
    ----------
    session : int array (p,), which sentence each entry belongs to; entries of one stand together, oldest first
    row : int array (p,), rows of the snapshot
    n : number of contents of the snapshot
    seed : one thread and one seed give the same vectors every time
    """
    if len(row) < MIN_WORDS:
        return None
    from gensim.models import Word2Vec  # noqa: PLC0415  a web worker never fits: 1 s, 111 MB

    # gensim thins out words above a share of 0.001, which in a small catalogue is all of them.
    sample = max(1e-3, 1.0 / len(np.unique(row)))
    cuts = np.flatnonzero(session[1:] != session[:-1]) + 1
    sentences = [part.tolist() for part in np.split(row, cuts)]
    model = Word2Vec(
        sentences, vector_size=dimensions, window=WINDOW, min_count=1, sg=1, negative=5, epochs=epochs, workers=1,
        seed=seed, sample=sample,
    )  # fmt: skip
    items = np.array(sorted(model.wv.index_to_key), np.int64)
    return of_rows(items, np.asarray(model.wv[items.tolist()], np.float32), n)
