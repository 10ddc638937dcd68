"""Nearest neighbours by inner product: FAISS behind build, add, search, save and load.

`kind_of` chooses between two kinds, and the data has the last word:

    up to 20,000 rows    flat: compares with every vector, some tenths of a millisecond, never misses one
    above                IVF: inverted lists of float16 vectors. At 100,000 contents with text alone it finds 99.8 % in
                         0.2 ms where flat takes 3.3; at 1,000,000 a tenth of a millisecond, flat 17 (one thread)
    up to 150,000 rows   flat all the same where IVF would have to look into more than half of its lists; on 100,000
                         loosely clustered rows it looks into two fifths (`manage.py bench index`)

How many lists a search looks into is not guessed: recall depends on the data, so `build` doubles it until recall@100 of
probes between the stored rows, against the exact answer, reaches 0.985. HNSW was rejected: at 100,000 it needs 43 s
to build and 1.3 ms for 98 % of what flat finds whole in 1.6 ms, and it cannot take rows out either. An eight-bit IVF
loses 1 % that no probing brings back.

Nothing is ever removed from an index. What must not be shown is masked at the search, which fetches more until enough
allowed rows are found or there are no more; the next snapshot is built without it.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import faiss
import numpy as np
from numpy.typing import NDArray

Kind = Literal["flat", "ivf"]
Mask = NDArray[np.bool_]

FLAT_LIMIT: Final = 20_000
HARD_LIMIT: Final = 150_000
"""Up to so many rows flat is bearable where lists do not help."""
HARD: Final = 0.5
"""Share of lists from which on they do not help."""
RECALL: Final = 0.985
"""What IVF is tuned to: a little above the 0.98 that is promised, as the tuning looks at 200 probes only."""
_DEPTH: Final = 100
_PROBES: Final = 200
_FEW_PROBES: Final = 50
"""Enough to find out whether the lists of an index before still serve."""
_ITERATIONS: Final = 10
_TRAINED_ON: Final = 64
"""Rows per list for k-means; more of them do not move recall."""
_GROWTH: Final = 4
_OUTGROWN: Final = 2.0
"""Lists are found anew once the rows have grown by this factor."""


def kind_of(rows: int) -> Kind:
    """The kind of index for so many rows that lists help with.

    >>> kind_of(10_000), kind_of(1_000_000)
    ('flat', 'ivf')
    """
    return "flat" if rows <= FLAT_LIMIT else "ivf"


class VectorError(ValueError):
    """Vectors that no index can hold or compare: of another length, or with a number that is none."""


class VectorIndex:
    """Rows of unit vectors to search; safe to search from several threads, as long as nobody adds."""

    def __init__(self, index: Any, *, mapped: bool = False) -> None:
        self._index, self._mapped = index, mapped

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def kind(self) -> Kind:
        """Which of the two it is."""
        return "ivf" if hasattr(self._index, "nlist") else "flat"

    @property
    def probes(self) -> int:
        """Lists a search looks into; 0 for a flat index."""
        return int(self._index.nprobe) if self.kind == "ivf" else 0

    @classmethod
    def build(
        cls,
        vectors: NDArray[np.float32],
        *,
        kind: Kind | None = None,
        like: "VectorIndex | None" = None,
        threads: int = 1,
    ) -> "VectorIndex":
        """An index over the rows of a float32 matrix (n, d); `VectorError` where it is none, or not finite.

        Parameters
        ----------
        kind : overrides the rule; rows too few to make lists of are flat all the same
        like : an older index of nearly the same rows, whose lists are used again: building is then adding
        threads : for k-means and adding; one gives the same bytes every time
        """
        rows = _checked(vectors)
        may_be_flat = kind is None and len(rows) <= HARD_LIMIT
        # An older index that is flat although it is large says that lists do not help with these rows.
        known_hard = may_be_flat and like is not None and like.kind == "flat" and len(like) > FLAT_LIMIT
        few = len(rows) < max(_centres(len(rows)), 1)
        if known_hard or few or (kind or kind_of(len(rows))) == "flat":
            return cls._flat(rows)
        faiss.omp_set_num_threads(threads)
        try:
            lists = _centroids_of(like, rows)
            built = cls(_with_centroids(_kmeans(rows) if lists is None else lists, rows[:1]))
            built.add(rows)
        finally:
            faiss.omp_set_num_threads(1)
        if like is None or lists is None:
            built._tune(rows, start=1, probes=_PROBES)
        else:
            built._tune(rows, start=like.probes, probes=_FEW_PROBES)
        return cls._flat(rows) if may_be_flat and built.probes > HARD * built._index.nlist else built

    @classmethod
    def _flat(cls, rows: NDArray[np.float32]) -> "VectorIndex":
        flat = faiss.IndexFlatIP(rows.shape[1])
        flat.add(rows)
        return cls(flat)

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Append rows; `VectorError` for rows of another length or not finite, `ValueError` for a loaded index, which
        belongs to its file.
        """
        if self._mapped:
            raise ValueError("a loaded index is read-only; build a new one")
        rows = _checked(vectors)
        if rows.shape[1] != self._index.d:
            raise VectorError(f"rows of shape {rows.shape} do not fit an index of {self._index.d} dimensions")
        self._index.add(rows)

    def search(
        self, vector: NDArray[np.float32], k: int, allowed: Mask | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k rows with the largest inner product, best first.

        Parameters
        ----------
        vector : float32 array (d,)
        k : how many; fewer come back when fewer rows exist or are allowed, and only then
        allowed : bool array (n,), the rows that may come out; all by default

        Returns
        -------
        rows : int64 array (k,)
        products : float32 array of the same length; cosines where all vectors have unit length

        Raises
        ------
        VectorError : for a vector of another length

        >>> index = VectorIndex.build(np.eye(3, dtype=np.float32))
        >>> rows, cosine = index.search(np.array([0.0, 0.8, 0.6], np.float32), 2)
        >>> rows.tolist(), cosine.astype(float).round(1).tolist()
        ([1, 2], [0.8, 0.6])
        >>> index.search(np.array([0.0, 0.8, 0.6], np.float32), 2, np.array([True, False, True]))[0].tolist()
        [2, 0]
        """
        if np.shape(vector) != (self._index.d,):
            raise VectorError(f"a query of shape {np.shape(vector)} for an index of {self._index.d} dimensions")
        if allowed is not None and len(allowed) != len(self):
            raise ValueError(f"a mask of {len(allowed)} rows for an index of {len(self)}")
        count = len(self) if allowed is None else int(np.count_nonzero(allowed))
        k = min(k, count)
        if k <= 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        # What is masked is often what lies nearest, such as the contents that made a taste; the rest is up to
        # repetition.
        fetch = max(math.ceil(k * len(self) / count), k + min(len(self) - count, k))
        # The lists were tuned for `_DEPTH` neighbours; more of them lie in more lists.
        wider = max(math.ceil(fetch / _DEPTH), 1)
        while True:
            fetch = min(fetch, len(self))
            rows, products = self._nearest(vector, fetch, wider)
            keep = rows >= 0 if allowed is None else (rows >= 0) & allowed[rows]
            if np.count_nonzero(keep) >= k or self._exhausted(fetch, wider):
                return rows[keep][:k], products[keep][:k]
            fetch, wider = fetch * _GROWTH, wider * _GROWTH

    def save(self, path: Path) -> None:
        """Write a FAISS file."""
        faiss.write_index(self._index, str(path))

    @classmethod
    def load(cls, path: Path) -> "VectorIndex":
        """Map what `save` wrote: processes share its pages, and only those that are searched are read."""
        return cls(faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC), mapped=True)

    def _nearest(
        self, vector: NDArray[np.float32], fetch: int, wider: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """FAISS's answer: `fetch` rows, -1 where the lists held fewer."""
        # The setting belongs to the calling thread. A second thread costs far more in waking up than it computes.
        faiss.omp_set_num_threads(1)
        query = np.ascontiguousarray(vector, np.float32).reshape(1, -1)
        if self.kind == "flat":
            products, rows = self._index.search(query, fetch)
        else:
            lists = min(self.probes * wider, self._index.nlist)
            # faiss's own stubs do not know the keyword.
            wanted = faiss.SearchParametersIVF(nprobe=lists)  # type: ignore[call-arg,unused-ignore]
            products, rows = self._index.search(query, fetch, params=wanted)
        return rows[0], products[0]

    def _exhausted(self, fetch: int, wider: int) -> bool:
        """Whether a wider search could not find more."""
        return fetch >= len(self) and (self.kind == "flat" or self.probes * wider >= self._index.nlist)

    def _tune(self, vectors: NDArray[np.float32], *, start: int, probes: int) -> None:
        """Look into as many lists as the recall needs, `start` or more."""
        asked = probing_vectors(vectors, probes)
        depth = min(_DEPTH, len(vectors))
        exact = faiss.knn(asked, vectors, depth, metric=faiss.METRIC_INNER_PRODUCT)[1]
        self._index.nprobe = start
        while self._index.nprobe < self._index.nlist:
            found = self._index.search(asked, depth)[1]
            if recall(found, exact) >= RECALL:
                break
            self._index.nprobe = min(2 * self._index.nprobe, self._index.nlist)


class JoinedIndex(VectorIndex):
    """An index, and behind its rows some more that are few enough to be compared one by one.

    `tail` gives those of its rows that are there and allowed (a mask over all `rows`), with their inner products.
    """

    def __init__(
        self,
        base: VectorIndex,
        rows: int,
        tail: Callable[[NDArray[np.float32], Mask | None], tuple[NDArray[np.int64], NDArray[np.float32]]],
    ) -> None:
        super().__init__(base._index, mapped=True)
        self._base, self._rows, self._tail = base, rows, tail

    def __len__(self) -> int:
        return self._rows

    def search(
        self, vector: NDArray[np.float32], k: int, allowed: Mask | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """As `VectorIndex.search`."""
        if allowed is not None and len(allowed) != len(self):
            raise ValueError(f"a mask of {len(allowed)} rows for an index of {len(self)}")
        rows, products = self._base.search(vector, k, None if allowed is None else allowed[: len(self._base)])
        behind, theirs = self._tail(vector, allowed)
        if len(behind) == 0:
            return rows, products
        rows, products = np.concatenate([rows, behind]), np.concatenate([products, theirs])
        best = np.argsort(-products, kind="stable")[:k]
        return rows[best], products[best]


def _checked(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows as FAISS takes them."""
    rows = np.ascontiguousarray(vectors, np.float32)
    if rows.ndim != 2:
        raise VectorError(f"rows of shape {rows.shape}, where a matrix (n, d) is needed")
    # Where any number is not finite their sum is none either; a million rows are looked at in place.
    if rows.size and not np.isfinite(rows.sum(dtype=np.float64)):
        bad = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise VectorError(f"row {bad} of {len(rows)} holds a number that is not finite")
    return rows


def probing_vectors(vectors: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Unit vectors such as users have, float32 (count, d): two thirds of one stored row, one third of another."""
    one, other = np.random.default_rng(0).integers(0, len(vectors), (2, count))
    mixed = 2.0 * vectors[one] + vectors[other]
    length = np.linalg.norm(mixed, axis=1, keepdims=True)
    return np.asarray(mixed / np.where(length > 0.0, length, 1.0), np.float32)


def recall(found: NDArray[np.int64], exact: NDArray[np.int64]) -> float:
    """Share of the exact neighbours (q, k) that were found, in any order.

    >>> recall(np.array([[3, 1, -1]]), np.array([[1, 2, 3]]))
    0.6666666666666666
    """
    hits = [len(np.intersect1d(mine, right)) for mine, right in zip(found, exact, strict=True)]
    return float(np.sum(hits) / exact.size)


def _centroids_of(like: VectorIndex | None, rows: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """The lists of an older index that still suit these rows; None where there are none."""
    if like is None or like.kind != "ivf" or like._index.d != rows.shape[1]:
        return None
    if max(len(rows) / len(like), len(like) / len(rows)) >= _OUTGROWN:
        return None
    return np.asarray(like._index.quantizer.reconstruct_n(0, like._index.nlist), np.float32)


def _centres(rows: int) -> int:
    """How many lists so many rows make."""
    return round(4.0 * math.sqrt(rows))


def _kmeans(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Centres of new lists."""
    kmeans = faiss.Kmeans(
        rows.shape[1], _centres(len(rows)), niter=_ITERATIONS, max_points_per_centroid=_TRAINED_ON,
        seed=1, spherical=True,
    )  # fmt: skip
    kmeans.train(rows)
    return np.asarray(kmeans.centroids, np.float32)


def _with_centroids(centroids: NDArray[np.float32], some_rows: NDArray[np.float32]) -> Any:
    lists, dimensions = centroids.shape
    quantizer = faiss.IndexFlatIP(dimensions)
    quantizer.add(centroids)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, dimensions, lists, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    # The index frees nothing that Python still owns. The stubs hide SWIG's handle.
    quantizer.this.disown()  # type: ignore[attr-defined,unused-ignore]
    index.own_fields = True
    # With a filled quantizer this trains only the codes, and float16 has nothing to train.
    index.train(some_rows)
    return index
