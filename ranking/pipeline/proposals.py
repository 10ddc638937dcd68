"""The union of what the sources proposed, with the memory of who proposed what.

Two sources that propose the same content both get the credit; the primary one ranked it best relative to its quota.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.stages import Ids

NOT_PROPOSED = -1


@dataclass(frozen=True, slots=True)
class Proposals:
    """Candidates and their provenance; n candidates, s sources.

    Attributes
    ----------
    rows : int64 array (n,), unique, in the order of first proposal
    names : the sources, in pipeline order
    rank : int32 array (s, n), 0-based rank that the source gave, `NOT_PROPOSED` where it did not propose the row
    primary : int64 array (n,), index into `names`
    """

    rows: Ids
    names: tuple[str, ...]
    rank: NDArray[np.int32]
    primary: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: NDArray[np.int64]) -> "Proposals":
        """The proposals at these indices, in this order."""
        return Proposals(self.rows[index], self.names, self.rank[:, index], self.primary[index])

    def primary_name(self, index: int) -> str:
        """The source that ranked candidate `index` best relative to its quota."""
        return self.names[int(self.primary[index])]

    def source_names(self, index: int) -> list[str]:
        """Every source that proposed candidate `index`, in pipeline order."""
        return [name for name, rank in zip(self.names, self.rank[:, index], strict=True) if rank != NOT_PROPOSED]

    def alone(self) -> dict[str, int]:
        """How many candidates only one source proposed, by source: what the page would lack without it.

        >>> merge(
        ...     [("popular", 2, np.array([7, 3])), ("fresh", 2, np.array([3, 5])), ("none", 1, np.array([3]))]
        ... ).alone()
        {'popular': 1, 'fresh': 1, 'none': 0}
        """
        proposed = self.rank != NOT_PROPOSED
        single = proposed & (proposed.sum(axis=0) == 1)
        return dict(zip(self.names, single.sum(axis=1).tolist(), strict=True))


def merge(retrieved: Sequence[tuple[str, int, Ids]]) -> Proposals:
    """Order-preserving union of (source name, quota, rows best first).

    The primary source of a row is the one with the smallest `(rank + 1) / quota`; the earlier source wins a tie.

    >>> union = merge([("popular", 2, np.array([7, 3])), ("fresh", 2, np.array([3, 5]))])
    >>> union.rows.tolist(), [union.primary_name(i) for i in range(3)], union.source_names(1)
    ([7, 3, 5], ['popular', 'fresh', 'fresh'], ['popular', 'fresh'])
    """
    names = tuple(name for name, _, _ in retrieved)
    chained = np.concatenate([np.empty(0, np.int64), *(rows for _, _, rows in retrieved)]).astype(np.int64)
    unique, first = np.unique(chained, return_index=True)
    rows = chained[np.sort(first)]
    position_of = np.empty(len(unique), np.int64)
    position_of[np.argsort(first)] = np.arange(len(unique))
    rank = np.full((len(names), len(rows)), NOT_PROPOSED, np.int32)
    share = np.full((len(names), len(rows)), np.inf)
    for source, (_, quota, proposed) in enumerate(retrieved):
        places = position_of[np.searchsorted(unique, proposed)]
        rank[source, places] = np.arange(len(proposed))
        share[source, places] = (np.arange(len(proposed)) + 1.0) / quota
    primary = share.argmin(axis=0) if names else np.empty(0, np.int64)
    return Proposals(rows, names, rank, primary)
