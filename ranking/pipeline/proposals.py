"""The union of what the sources proposed, with the memory of who proposed what.

Two sources that propose the same content both get the credit; the primary one ranked it best relative to its quota.
"""

from collections.abc import Iterator, Sequence
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

    def credits(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Of each candidate, in order: the source that ranked it best relative to its quota, and the rank that each
        source gave it, in pipeline order.
        """
        # Lists: single entries of an array cost several times as much.
        for primary, ranks in zip(self.primary.tolist(), self.rank.T.tolist(), strict=True):
            named = zip(self.names, ranks, strict=True)
            yield self.names[primary], {name: rank for name, rank in named if rank != NOT_PROPOSED}

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
    >>> union.rows.tolist(), [primary for primary, _ in union.credits()], list(union.credits())[1]
    ([7, 3, 5], ['popular', 'fresh', 'fresh'], ('fresh', {'popular': 1, 'fresh': 0}))
    """
    names = tuple(name for name, _, _ in retrieved)
    chained = np.concatenate([np.empty(0, np.int64), *(rows for _, _, rows in retrieved)]).astype(np.int64)
    _, first, which = np.unique(chained, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rows = chained[first[order]]
    position_of = np.empty(len(order), np.int64)
    position_of[order] = np.arange(len(order))
    places = position_of[which]
    rank = np.full((len(names), len(rows)), NOT_PROPOSED, np.int32)
    share = np.full((len(names), len(rows)), np.inf)
    start = 0
    for source, (_, quota, proposed) in enumerate(retrieved):
        if len(proposed):
            at, found = places[start : start + len(proposed)], np.arange(len(proposed))
            rank[source, at], share[source, at] = found, (found + 1.0) / quota
            start += len(proposed)
    primary = share.argmin(axis=0) if names else np.empty(0, np.int64)
    return Proposals(rows, names, rank, primary)
