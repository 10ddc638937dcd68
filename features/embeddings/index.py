"""Nearest neighbours by inner product, exact: FAISS behind build, search, save and load.

A flat index compares with every vector: 0.1 ms for 10,000 contents, 2 ms for 100,000 (64 to 128 dimensions, one
thread), and it never misses a neighbour. An approximate index pays only beyond that.
"""

from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray


class VectorIndex:
    """Rows of unit vectors to search; immutable once built, safe to search from several threads."""

    def __init__(self, index: Any) -> None:
        self._index = index

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @classmethod
    def build(cls, vectors: NDArray[np.float32]) -> "VectorIndex":
        """An index over the rows of a float32 matrix (n, d)."""
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(np.ascontiguousarray(vectors, np.float32))
        return cls(index)

    def search(self, vector: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k rows with the largest inner product, best first.

        Parameters
        ----------
        vector : float32 array (d,)
        k : how many; fewer come back when there are fewer rows

        Returns
        -------
        rows : int64 array (min(k, n),)
        products : float32 array of the same length; cosines where all vectors have unit length

        >>> index = VectorIndex.build(np.eye(3, dtype=np.float32))
        >>> rows, cosine = index.search(np.array([0.0, 0.8, 0.6], np.float32), 2)
        >>> rows.tolist(), cosine.astype(float).round(1).tolist()
        ([1, 2], [0.8, 0.6])
        """
        k = min(k, len(self))
        if k <= 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        # The setting belongs to the calling thread. A second thread costs far more in waking up than it computes.
        faiss.omp_set_num_threads(1)
        products, rows = self._index.search(np.ascontiguousarray(vector, np.float32).reshape(1, -1), k)
        return rows[0], products[0]

    def save(self, path: Path) -> None:
        """Write a FAISS file."""
        faiss.write_index(self._index, str(path))

    @classmethod
    def load(cls, path: Path) -> "VectorIndex":
        """Read what `save` wrote."""
        return cls(faiss.read_index(str(path)))
