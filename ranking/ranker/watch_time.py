"""Watch time as ordered questions: was it longer than what 5, 10, ... 98 % of the views of clips of such a length are?

Every level is one output of the network. Clips of about the same length share a row of edges (the duration buckets of
the features), so the answers say how well a clip is watched for its length, and a long clip gains nothing by being long
(D2Q: Zhan et al., 2022). Read back over the edges of its own length they give seconds, read over the edges of all clips
they give seconds without the advantage of length:

    E[T] = step_0 + sum_k P(T > edge_k) step_k,   step_k = E[min(T, edge_k+1) - edge_k | T > edge_k]

which is exact if the chances are: the steps are measured, nothing is assumed of the shape between two edges or beyond
the last one. Read back with steps of the rank among all views instead of seconds they give the expected rank, which
orders better than the mean, because a mean follows the few clips that somebody left running. One set of ordered outputs
for all of this follows CREAD (Sun et al., 2024).
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from features.extraction.definitions import DURATION_EDGES_S

LEVELS: Final = (*(step / 20 for step in range(1, 20)), 0.98)
"""Quantiles of the edges."""
BUCKETS: Final = len(DURATION_EDGES_S) + 1
LEAST_VIEWS: Final = 50
"""A bucket with fewer takes the edges of all clips."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WatchScale:
    """Edges and steps, per duration bucket and over all; b buckets, k levels.

    Attributes
    ----------
    edge_s : float64 array (b, k), ascending within a bucket
    step_s : float64 array (b, k + 1)
    pooled_step_s : float64 array (k + 1,), over clips of all lengths
    step_rank : float64 array (b, k + 1), steps of the rank among all views, 0 to 1
    """

    edge_s: Floats
    step_s: Floats
    pooled_step_s: Floats
    step_rank: Floats

    @classmethod
    def fit(cls, watch_s: NDArray[np.float32], duration_s: NDArray[np.float32]) -> Self:
        """Measure on views; those of unknown watch time (NaN) say nothing.

        Parameters
        ----------
        watch_s, duration_s : float arrays (n,), seconds; at least one watch must be known
        """
        known = ~np.isnan(watch_s)
        watched, bucket = watch_s[known].astype(np.float64), bucket_of(duration_s[known])
        if len(watched) == 0:
            raise ValueError(f"a watch scale needs one known watch time, got none among {len(watch_s)}")
        every = np.sort(watched)
        rank = (np.searchsorted(every, watched, "left") + np.searchsorted(every, watched, "right")) / (2.0 * len(every))
        pooled_edges, pooled_steps = _measure(watched)
        edges, steps = np.tile(pooled_edges, (BUCKETS, 1)), np.tile(pooled_steps, (BUCKETS, 1))
        ranks = np.tile(_rank_steps(watched, rank, pooled_edges), (BUCKETS, 1))
        for number in range(BUCKETS):
            of = bucket == number
            if of.sum() >= LEAST_VIEWS:
                edges[number], steps[number] = _measure(watched[of])
                ranks[number] = _rank_steps(watched[of], rank[of], edges[number])
        return cls(edges, steps, pooled_steps, ranks)

    def questions(self, watch_s: NDArray[np.float32], duration_s: NDArray[np.float32]) -> NDArray[np.float32]:
        """Labels float32 (n, k): 1 where watched for longer than the edge, NaN where the watch is not known."""
        longer = (watch_s[:, None] > self.edge_s[bucket_of(duration_s)]).astype(np.float32)
        longer[np.isnan(watch_s)] = np.nan
        return longer

    def seconds(self, chance: Floats, duration_s: NDArray[np.float32]) -> Floats:
        """Expected seconds (n,) of clips of these lengths, from the chances (n, k) of the levels."""
        step = self.step_s[bucket_of(duration_s)]
        return np.asarray(step[:, 0] + np.einsum("nk,nk->n", chance, step[:, 1:]))

    def rank(self, chance: Floats, duration_s: NDArray[np.float32]) -> Floats:
        """Expected rank (n,) among all views, 0 to 1, from the chances (n, k) of the levels."""
        step = self.step_rank[bucket_of(duration_s)]
        return np.asarray(step[:, 0] + np.einsum("nk,nk->n", chance, step[:, 1:]))

    def debiased_seconds(self, chance: Floats) -> Floats:
        """The same over the edges of all clips: what a clip of no particular length would be watched."""
        return np.asarray(self.pooled_step_s[0] + chance @ self.pooled_step_s[1:])


def bucket_of(duration_s: NDArray[np.float32]) -> NDArray[np.int64]:
    """Duration bucket of each clip, 0 for the shortest.

    >>> bucket_of(np.array([5.0, 7.0, 1000.0], np.float32)).tolist()
    [0, 0, 9]
    """
    return np.searchsorted(np.array(DURATION_EDGES_S), duration_s).astype(np.int64)


def _measure(watched: Floats) -> tuple[Floats, Floats]:
    """Edges (k,) and steps (k + 1,) of some watch times."""
    edges = np.quantile(watched, LEVELS)
    lower, upper = np.r_[0.0, edges], np.r_[edges, np.inf]
    beyond = watched[:, None] > lower
    beyond[:, 0] = True
    gained = np.where(beyond, np.minimum(watched[:, None], upper) - lower, 0.0)
    return edges, gained.sum(axis=0) / np.maximum(beyond.sum(axis=0), 1)


def _rank_steps(watched: Floats, rank: Floats, edges: Floats) -> Floats:
    """What each passed edge (k,) adds to the mean rank, after the mean of views that pass none; (k + 1,)."""
    passed = np.searchsorted(edges, watched, "left")
    count = np.bincount(passed, minlength=len(edges) + 1)
    mean = np.bincount(passed, weights=rank, minlength=len(edges) + 1) / np.maximum(count, 1)
    # Of equal edges only the last one parts views; those that nobody stops between have the mean of the one before.
    level = np.maximum.accumulate(np.where(count > 0, np.arange(len(count)), 0))
    return np.diff(np.where(count > 0, mean, mean[level]), prepend=0.0)
