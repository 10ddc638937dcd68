"""Determinantal point process: pages whose contents are good and span a large volume, found greedily in O(k^2 n).

A DPP gives a set Y the weight det(L_Y) with L = diag(q) S diag(q) (Kulesza and Taskar, 2012). With q = exp(theta * V)

    log det(L_Y) = 2 theta * (sum of values of Y) + log det(S_Y)

so theta alone says what diversity is worth, and one step of the greedy search for the best set adds the candidate with
the largest 2 theta V_i + log d_i^2, where d_i^2 is the part of i that the ones already taken do not span. Chen, Zhang
and Zhou (2018) keep d_i^2 current with one row of a Cholesky factor per step. Only the last `window - 1` picks count:
nobody remembers the top of the page thirty clips later, and without the window a long page runs out of dimensions.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.moves import Reason
from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import Ids
from ranking.rerank.kernel import NUGGET, USUAL_WEIGHTS, KernelWeights, Similarity

SMALLEST_PART = 1e-9
"""Rounding may leave a copy of a pick with d^2 <= 0; its logarithm must stay finite."""
WHOLE = 256
"""Up to so many candidates all rows of the kernel are made at once, which is cheaper than a page's worth one by one."""


class Volume:
    """log d_i^2 of every candidate given the last `window - 1` picks.

    While the window fills, each pick adds one row to the Cholesky factor. Once it is full, the kernel of the window is
    inverted anew on every step, which costs window^2 n like the downdate of Chen et al. and accumulates no rounding.
    """

    def __init__(self, similarity: Similarity, window: int) -> None:
        if window < 1:
            raise ValueError(f"window must be at least 1, got {window}")
        self.similarity, self.window = similarity, window
        self._kernel = similarity.matrix() if len(similarity) <= WHOLE else None
        self._taken = 0
        # Of the last `window - 1` picks, the oldest of which gives way to the next one.
        self._picks = np.empty(window - 1, np.int64)
        self._rows = np.empty((window - 1, len(similarity)))
        self._factor = np.empty((window - 1, len(similarity)))
        self._left: NDArray[np.float64] = np.full(len(similarity), 1.0 + NUGGET)

    def gains(self) -> NDArray[np.float64]:
        """log d_i^2, float64 array (n,), finite; what was taken already is not left out."""
        return np.asarray(np.log(np.maximum(self._left, SMALLEST_PART)))

    def take(self, pick: int) -> None:
        """Count `pick` among the last ones."""
        if self.window == 1:
            return
        place = self._taken % (self.window - 1)
        self._rows[place] = self.similarity.row(pick) if self._kernel is None else self._kernel[pick]
        self._picks[place] = pick
        self._taken += 1
        if self._taken < self.window:
            self._extend(pick, place)
            return
        spanned = np.linalg.inv(self._rows.take(self._picks, axis=1)) @ self._rows
        spanned *= self._rows
        self._left = (1.0 + NUGGET) - np.add.reduce(spanned)

    def _extend(self, pick: int, depth: int) -> None:
        known = self._factor[:depth]
        part = (self._rows[depth] - known[:, pick] @ known) / math.sqrt(max(self._left[pick], SMALLEST_PART))
        self._factor[depth] = part
        self._left = self._left - part * part


def greedy_map(
    values: NDArray[np.float64], similarity: Similarity, size: int, *, theta: float, window: int
) -> NDArray[np.int64]:
    """The greedy page of the DPP: int64 array (min(size, n),), in the order of choice; ties go to the earlier one.

    `values` are finite, in any unit whose inverse is that of `theta`. A larger theta buys quality for diversity; at 0
    values count for nothing.

    >>> unit = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    >>> alone = np.full(3, -1, np.int32)
    >>> alike = Similarity(unit, alone, alone, KernelWeights(1.0, 0.0, 0.0))
    >>> greedy_map(np.array([3.0, 2.0, 1.0]), alike, 3, theta=1.0, window=10).tolist()
    [0, 2, 1]
    """
    volume = Volume(similarity, window)
    quality = 2.0 * theta * np.asarray(values, np.float64)
    picks: list[int] = []
    for _ in range(min(size, len(similarity))):
        total = quality + volume.gains()
        pick = int(total.argmax())
        picks.append(pick)
        quality[pick] = -np.inf
        volume.take(pick)
    return np.array(picks, np.int64)


@dataclass(frozen=True, slots=True)
class Diversity:
    """The DPP as a term of page assembly: log d_i^2 / (2 theta), in the unit of the values."""

    shelf: Shelf
    theta: float = 2.0
    window: int = 10
    weights: KernelWeights = USUAL_WEIGHTS

    def __post_init__(self) -> None:
        if not self.theta > 0.0:
            raise ValueError(f"theta must be positive, got {self.theta}")

    def begin(self, candidates: Ids) -> "WeightedVolume":
        """The term for one page."""
        return WeightedVolume(Volume(Similarity.of(self.shelf, candidates, self.weights), self.window), self.theta)


@dataclass(frozen=True, slots=True)
class WeightedVolume:
    """`Volume` in the unit of the values."""

    volume: Volume
    theta: float
    reason: ClassVar[Reason] = "diversity"

    def gains(self) -> NDArray[np.float64]:
        """What diversity adds to each candidate's value at the next position."""
        gains = self.volume.gains()
        gains *= 0.5 / self.theta
        return gains

    def take(self, pick: int) -> None:
        """Count `pick` among the last ones."""
        self.volume.take(pick)
