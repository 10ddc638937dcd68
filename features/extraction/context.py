"""What a user's past says about particular contents: the crossing of user and content at a moment."""

import numpy as np
from numpy.typing import NDArray

from features.embeddings.behaviour import SequentialItemModel
from features.extraction.definitions import AFFINITY_HALF_LIFE_S, LAG_DECAY
from features.extraction.past import Encounters
from features.extraction.snapshot import ContentSnapshot


def context_columns(
    met: Encounters,
    followed: NDArray[np.int64],
    taste: NDArray[np.float32] | None,
    *,
    snapshot: ContentSnapshot,
    sequential: SequentialItemModel | None,
    rows: NDArray[np.int64],
    now: float,
) -> dict[str, NDArray[np.float64]]:
    """The context block without the clock, by feature name, each of length n = len(rows).

    Parameters
    ----------
    sequential : the model to ask; in training one that has not seen the future
    now : seconds since 1970 UTC
    """
    telling = np.flatnonzero(met.worth)
    row, value = met.row[telling], met.worth[telling]
    by_lag = np.power(LAG_DECAY, np.arange(len(telling), dtype=np.float64))
    by_time = np.exp2(-np.maximum(now - met.at[telling], 0.0) / AFFINITY_HALF_LIFE_S)
    category, creator = snapshot.category[row], snapshot.creator[row]
    wanted_category, wanted_creator = snapshot.category[rows], snapshot.creator[rows]
    zeros = np.zeros(len(rows))
    if sequential is None:
        scores = zeros
    else:
        scores = sequential.scores_of(met.row[met.worth > 0.0][::-1], rows).astype(np.float64)
    return {
        "taste_cosine": zeros if taste is None else (snapshot.embedding[rows] @ taste).astype(np.float64),
        "sequential_score": scores,
        "category_affinity": affinity(category, value, by_lag, wanted_category),
        "category_affinity_1d": affinity(category, value, by_time, wanted_category),
        "creator_affinity": affinity(creator, value, by_lag, wanted_creator),
        "language_affinity": affinity(snapshot.language[row], value, by_lag, snapshot.language[rows]),
        "creator_followed": _member(wanted_creator, followed),
        "creator_refused": _member(wanted_creator, np.unique(snapshot.creator[met.row[met.refusal]])),
        "times_seen": np.log1p(_times(met, rows)),
    }


def affinity(
    code: NDArray[np.int32], value: NDArray[np.float64], weight: NDArray[np.float64], wanted: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Mean value per code, shrunk by one imagined neutral judgement: `sum(w v) / (sum(w) + 1)`.

    Parameters
    ----------
    code, value, weight : arrays (m,), the judgements; negative codes count for nothing
    wanted : array (n,), the codes to answer for; 0 for codes without a judgement

    >>> affinity(np.array([4, 4, 9]), np.array([1.0, 1.0, -1.0]), np.ones(3), np.array([9, 4, 5, -1])).tolist()
    [-0.5, 0.6666666666666666, 0.0, 0.0]
    """
    known = code >= 0
    codes, group = np.unique(code[known], return_inverse=True)
    if len(codes) == 0:
        return np.zeros(len(wanted))
    mass = np.bincount(group, weights=weight[known])
    mean = np.bincount(group, weights=(weight * value)[known]) / (mass + 1.0)
    at = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    return np.where(codes[at] == wanted, mean[at], 0.0)


def _member(wanted: NDArray[np.int32], codes: NDArray[np.int64] | NDArray[np.int32]) -> NDArray[np.float64]:
    """1 where a wanted code is among the ascending codes, else 0; unknown codes never are."""
    if len(codes) == 0:
        return np.zeros(len(wanted))
    at = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    return np.asarray((codes[at] == wanted) & (wanted >= 0), np.float64)


def _times(met: Encounters, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """How often each content was met; 0 for those that were not."""
    if len(met) == 0:
        return np.zeros(len(rows))
    order = np.argsort(met.row)
    at = np.minimum(np.searchsorted(met.row[order], rows), len(order) - 1)
    found = order[at]
    return np.where(met.row[found] == rows, met.times[found], 0.0)
