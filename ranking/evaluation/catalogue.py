"""How well a ranking of the whole catalogue finds what users enjoyed next, and what it shows of the catalogue.

Every content is a candidate, less what the user has seen. Ranking the target among some drawn contents is another
question with other winners (Krichene and Rendle, 2020), and there is no code for it here.

    Recall@k = targets among the first k / targets
    NDCG@k   = sum over hits of 1 / log2(rank + 1), over the best possible sum
    coverage = share of the catalogue shown to anybody
    Gini     = inequality of exposure over the whole catalogue, 0 for all alike, 1 for one content only
    ILD      = mean of 1 - cosine over the pairs of a list (intra-list diversity)
    novelty  = mean of -log2 of the share of users who already enjoyed a shown content
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Hits = NDArray[np.bool_]
Ids = NDArray[np.int64]


def best_first(scores: NDArray[np.floating], seen: Ids, k: int) -> Ids:
    """The k best rows of one user's scores (n,), best first, without those seen; equal scores in order of row.

    >>> best_first(np.array([1.0, 3.0, 2.0, 3.0]), np.array([1]), 2).tolist()
    [3, 2]
    """
    open_scores = np.array(scores, np.float64)
    open_scores[seen] = -np.inf
    deepest = min(k, len(open_scores))
    kth = np.partition(-open_scores, deepest - 1)[deepest - 1] if deepest else np.inf
    # All that tie with the last place take part, so that the order of rows decides and not that of the partition.
    some = np.flatnonzero((-open_scores <= kth) & (open_scores > -np.inf))
    return some[np.lexsort((some, -open_scores[some]))][:deepest]


def recall_at(hit: Hits, wanted: int, k: int) -> float:
    """Share of the `wanted` targets among the first k places.

    >>> recall_at(np.array([False, True, False, True]), 4, 3)
    0.25
    """
    return float(hit[:k].sum()) / _positive(wanted)


def ndcg_at(hit: Hits, wanted: int, k: int = 10) -> float:
    """Normalised discounted cumulative gain of the first k places, gain `1 / log2(rank + 1)` per hit.

    >>> ndcg_at(np.array([False, True, False]), 1).__round__(4)
    0.6309
    """
    gain = 1.0 / np.log2(np.arange(2, k + 2))
    return float(gain[: len(hit)] @ hit[:k] / gain[: min(_positive(wanted), k)].sum())


def reciprocal_rank(hit: Hits) -> float:
    """One over the rank of the first hit, 0 without one.

    >>> reciprocal_rank(np.array([False, False, True]))
    0.3333333333333333
    """
    return 1.0 / (int(hit.argmax()) + 1) if hit.any() else 0.0


def coverage(shown: Ids, contents: int) -> float:
    """Share of the catalogue among the rows shown to anybody.

    >>> coverage(np.array([0, 0, 3]), 4)
    0.5
    """
    return len(np.unique(shown)) / _positive(contents)


def exposure_gini(shown: Ids, contents: int) -> float:
    """Gini coefficient of how often each content of the catalogue was shown; 0 where nothing was.

    >>> exposure_gini(np.array([2, 2, 2, 2]), 4), exposure_gini(np.arange(4), 4)
    (0.75, 0.0)
    """
    counts = np.sort(np.bincount(shown, minlength=_positive(contents)).astype(np.float64))
    total = counts.sum()
    if total == 0.0:
        return 0.0
    rank = np.arange(1, contents + 1)
    return float((2 * rank - contents - 1) @ counts / (contents * total))


def intra_list_diversity(shown: NDArray[np.floating]) -> float | None:
    """Mean of 1 - cosine over the pairs of one list, from the vectors (k, d) of what it shows; None without a pair.

    A content without a vector (all zeros) is like nothing.

    >>> intra_list_diversity(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0]])).__round__(4)
    0.6667
    """
    count = len(shown)
    if count < 2:
        return None
    length = np.linalg.norm(shown, axis=1, keepdims=True)
    unit = np.divide(shown, length, out=np.zeros(shown.shape), where=length > 0.0)
    # The sum over all pairs is the square of the sum, less each with itself.
    total = float(np.square(unit.sum(axis=0)).sum() - np.square(unit).sum())
    return 1.0 - total / (count * (count - 1))


def novelty(shown: Ids, enjoyed_by: NDArray[np.integer], users: int) -> float | None:
    """Mean surprise of what is shown, bits: -log2((enjoyed_by + 1) / (users + 1)); None where nothing is shown.

    Parameters
    ----------
    enjoyed_by : int array (n,), users who had enjoyed each content before
    users : all of them

    >>> novelty(np.array([0, 1]), np.array([7, 0]), 7)
    1.5
    """
    if len(shown) == 0:
        return None
    return float(-np.log2((enjoyed_by[shown] + 1) / (users + 1)).mean())


def _positive(count: int) -> int:
    if count < 1:
        raise ValueError(f"a ranking needs at least one to find and one to show, got {count}")
    return count
