"""Exact samples of k contents from a determinantal point process: exploration that is good and broad at once.

    P(Y) = det(L_Y) / e_k(eigenvalues of L)   for every Y of size k

(Kulesza and Taskar, 2012, algorithms 1 and 8): choose k eigenvectors by the elementary symmetric polynomials, then draw
from the projection they span. The polynomials are sums of positive terms, so their recursion loses no digits; they are
kept as logarithms, because e_20 of 300 eigenvalues leaves the range of a float.

The order of the draw is exchangeable, so P(content i on position t) = P(i in Y) / k exactly.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import FeedQuery, Ids, Positions, Scores
from ranking.rerank.hybrid import standardised
from ranking.rerank.kernel import USUAL_WEIGHTS, KernelWeights, Similarity

Floats = NDArray[np.float64]
SMALLEST_EIGENVALUE = 1e-12
"""Relative to the largest: what eigh returns below is rounding, and may be negative."""

WIDEST = 3.0
"""Standard deviations beyond which a score counts no more."""


def log_polynomials(log_values: Floats, size: int) -> Floats:
    """log e_l of the first m values, float64 array (size + 1, n + 1), for l = 0..size and m = 0..n.

    e_l(m) = e_l(m - 1) + value_m e_(l-1)(m - 1); e_0 = 1, and e_l of fewer than l values is 0 (-inf here).

    >>> np.exp(log_polynomials(np.log([1.0, 2.0, 3.0]), 2))[:, -1].round(6).tolist()  # 1, 1+2+3, 2+3+6
    [1.0, 6.0, 11.0]
    """
    table = np.full((size + 1, len(log_values) + 1), -np.inf)
    table[0] = 0.0
    for m, value in enumerate(log_values, start=1):
        table[1:, m] = np.logaddexp(table[1:, m - 1], value + table[:-1, m - 1])
    return table


@dataclass(frozen=True, slots=True)
class KDpp:
    """The k-DPP of one kernel; decomposed once, O(n^3), sampled in O(n k) per content."""

    kernel: Floats
    size: int
    log_values: Floats = field(init=False, repr=False)
    vectors: Floats = field(init=False, repr=False)
    polynomials: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        n = len(self.kernel)
        if self.kernel.shape != (n, n) or not np.isfinite(self.kernel).all():
            raise ValueError(f"a kernel must be square and finite, got {self.kernel.shape}")
        values, vectors = np.linalg.eigh((self.kernel + self.kernel.T) / 2.0)
        real = values > SMALLEST_EIGENVALUE * max(float(values.max(initial=0.0)), 0.0)
        if not 0 <= self.size <= int(real.sum()):
            raise ValueError(f"{self.size} of {n} contents whose kernel has rank {int(real.sum())}")
        object.__setattr__(self, "log_values", np.log(values[real]))
        object.__setattr__(self, "polynomials", log_polynomials(self.log_values, self.size))
        object.__setattr__(self, "vectors", vectors[:, real])

    def sample(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """`size` different indices in exchangeable order."""
        basis = self.vectors[:, self._eigenvectors(rng)]
        # d^2 of the projection kernel, kept current as in `diversity.Volume`; it adds up to what is left to draw.
        left = np.einsum("ij,ij->i", basis, basis)
        factor = np.empty((self.size, len(basis)))
        picks = np.empty(self.size, np.int64)
        for step in range(self.size):
            mass = np.cumsum(np.maximum(left, 0.0))
            pick = min(int(np.searchsorted(mass, rng.random() * mass[-1], side="right")), len(mass) - 1)
            known = factor[:step]
            factor[step] = (basis @ basis[pick] - known[:, pick] @ known) / np.sqrt(left[pick])
            left = left - factor[step] ** 2
            left[picks[:step]] = left[pick] = 0.0
            picks[step] = pick
        return picks

    def inclusion(self) -> Floats:
        """P(i in Y), exactly: float64 array (n,), adding up to `size`.

        sum over eigenvectors of v_i^2 * value * e_(k-1)(the others) / e_k(all). The polynomials without one value come
        from those of the values before and after it, since dividing it out again would cancel.
        """
        if self.size == 0:
            return np.zeros(len(self.kernel))
        before = self.polynomials
        after = log_polynomials(self.log_values[::-1], self.size)[:, ::-1]
        # before[l, m] covers the first m values, after[l, m + 1] those behind value m.
        pairs = before[: self.size, :-1] + after[self.size - 1 :: -1, 1:]
        highest = pairs.max(axis=0)
        others = highest + np.log(np.exp(pairs - highest).sum(axis=0))
        chosen = np.exp(self.log_values + others - before[-1, -1])
        return np.asarray(np.clip(self.vectors**2 @ chosen, 0.0, 1.0))

    def _eigenvectors(self, rng: np.random.Generator) -> NDArray[np.int64]:
        table = self.polynomials
        uniform = rng.random(len(self.log_values))
        wanted, taken = self.size, []
        for m in range(len(self.log_values), 0, -1):
            if wanted == 0:
                break
            if uniform[m - 1] < np.exp(self.log_values[m - 1] + table[wanted - 1, m - 1] - table[wanted, m]):
                taken.append(m - 1)
                wanted -= 1
        return np.array(taken, np.int64)


@dataclass(frozen=True, slots=True)
class DiverseConfig:
    """How much the score counts in a page that is drawn as a whole, and of how many candidates."""

    theta: float = 1.0
    depth: int = 60


@dataclass(slots=True)
class DiverseExploration:
    """A whole page drawn from the k-DPP of the best `depth` candidates, with exact propensities.

    q = exp(theta * standardised score). For traffic that must learn about many contents: it costs more watch time than
    one explored slot, and unlike uniform draws it is broad on purpose. Where `depth` holds fewer than `query.size`
    candidates, all of them are drawn; behind the drawn ones the rest follow as they came, with propensity 1.
    """

    shelf: Shelf
    theta: float = 1.0
    depth: int = 60
    weights: KernelWeights = USUAL_WEIGHTS
    name: str = "diverse_exploration"

    def __post_init__(self) -> None:
        if self.depth < 1:
            raise ValueError(f"depth must be at least 1, got {self.depth}")

    def order(self, query: FeedQuery, candidates: Ids, scores: Scores) -> Positions:
        """All candidates, the first `query.size` of them drawn; repeatable by `query.seed`."""
        safe = min(self.depth, len(candidates))
        size = min(query.size, safe)
        # A single outlier would leave the rest of the kernel without weight, and so without rank.
        quality = np.exp(self.theta * np.clip(standardised(scores)[:safe], -WIDEST, WIDEST))
        similarity = Similarity.of(self.shelf, candidates[:safe], self.weights).matrix()
        process = KDpp(quality[:, None] * similarity * quality, size)
        drawn = process.sample(np.random.default_rng(query.seed))
        propensity = process.inclusion()[drawn] / max(size, 1)
        behind = np.setdiff1d(np.arange(len(candidates)), drawn, assume_unique=True)
        return Positions(
            np.concatenate([drawn, behind]),
            np.concatenate([propensity, np.ones(len(behind))]).astype(np.float32),
            dict.fromkeys(range(size), "exploration"),
        )
