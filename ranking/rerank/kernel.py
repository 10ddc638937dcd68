"""How alike two contents are: one positive definite kernel of embedding, category and creator.

    S_ij = content * cos(i, j) + category * [same category] + creator * [same creator],   S_ii = 1 + NUGGET

Each of the three is a Gram matrix, so their sum is one too; raising the diagonal to one (for what has no embedding,
category or creator) keeps it so. Rows are made when they are asked for: a page of 20 needs 20 of 300.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import Ids

NUGGET = 1e-5
"""Keeps the kernel of two copies of one content invertible: a copy adds almost nothing, and not minus infinity."""


@dataclass(frozen=True, slots=True)
class KernelWeights:
    """Shares of the three likenesses; at most 1 together, or two different contents could be more than the same."""

    content: float = 0.5
    category: float = 0.3
    creator: float = 0.2

    def __post_init__(self) -> None:
        shares = (self.content, self.category, self.creator)
        if min(shares) < 0.0 or sum(shares) > 1.0 + 1e-9:
            raise ValueError(f"kernel weights must be >= 0 and add up to at most 1, got {shares}")


USUAL_WEIGHTS = KernelWeights()


@dataclass(frozen=True, slots=True)
class Similarity:
    """The kernel over n candidates. Negative codes are unknown, and alike to nothing.

    Attributes
    ----------
    embedding : float32 array (n, d), unit or zero rows
    category, creator : int arrays (n,)
    """

    embedding: NDArray[np.float32]
    category: NDArray[np.int32]
    creator: NDArray[np.int32]
    weights: KernelWeights = USUAL_WEIGHTS

    @classmethod
    def of(cls, shelf: Shelf, candidates: Ids, weights: KernelWeights) -> "Similarity":
        """The kernel of these rows of the catalogue."""
        return cls(shelf.embedding[candidates], shelf.category[candidates], shelf.creator[candidates], weights)

    def __len__(self) -> int:
        return len(self.category)

    def row(self, index: int) -> NDArray[np.float64]:
        """Likeness of candidate `index` to all: float64 array (n,).

        >>> unit, same = np.eye(2, dtype=np.float32), np.zeros(2, np.int32)
        >>> Similarity(unit, same, np.array([0, 1])).row(0).round(3).tolist()
        [1.0, 0.3]
        """
        likeness = self.weights.content * (self.embedding @ self.embedding[index]).astype(np.float64)
        for codes, weight in ((self.category, self.weights.category), (self.creator, self.weights.creator)):
            if codes[index] >= 0:
                likeness += weight * (codes == codes[index])
        likeness[index] = 1.0 + NUGGET
        return np.asarray(likeness)

    def matrix(self) -> NDArray[np.float64]:
        """The whole kernel (n, n), symmetric up to the rounding of float32; of 120 it costs as much as a dozen rows."""
        likeness = self.weights.content * (self.embedding @ self.embedding.T).astype(np.float64)
        for codes, weight in ((self.category, self.weights.category), (self.creator, self.weights.creator)):
            likeness += weight * ((codes[:, None] == codes) & (codes >= 0))
        np.fill_diagonal(likeness, 1.0 + NUGGET)
        return np.asarray(likeness)
