"""Contents like one content: what it is about, fused with what people who enjoyed it enjoyed next.

    score = ALPHA * cosine of the embeddings + (1 - ALPHA) * successor score / the largest one

The source design blends content-based and collaborative scores in this way. Where one of the two knows nothing (no
embedding, a content nobody has watched yet) the other decides alone, with its share of the scale.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ranking.candidates.content_based import SIMILARITY_FLOOR
from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import Ids, Mask

ALPHA: Final = 0.5


@dataclass(frozen=True, slots=True)
class Alike:
    """Neighbours of a content, best first; k of them.

    Attributes
    ----------
    rows : int64 array (k,)
    score : float64 array (k,), in (0, 1]
    cosine : float64 array (k,), of the embeddings
    behaviour : float64 array (k,), successor score as a share of the largest one
    """

    rows: Ids
    score: NDArray[np.float64]
    cosine: NDArray[np.float64]
    behaviour: NDArray[np.float64]


def alike(shelf: Shelf, row: int, limit: int, allowed: Mask) -> Alike:
    """At most `limit` neighbours of a row among the allowed ones, never the row itself.

    Parameters
    ----------
    allowed : bool array (n,), the rows that may come out
    """
    allowed = allowed & shelf.active
    allowed[row] = False
    near = np.empty(0, np.int64)
    if shelf.nearest is not None and shelf.embedding[row].any():
        found, cosine = shelf.nearest(shelf.embedding[row], limit, allowed)
        near = found[cosine > SIMILARITY_FLOOR].astype(np.int64)
    follows = np.zeros(len(shelf), np.float64)
    if shelf.successors is not None:
        follows = np.where(allowed, np.maximum(shelf.successors(np.array([row], np.int64)), 0.0), 0.0)
    best = follows.max(initial=0.0)
    next_ = np.flatnonzero(follows > 0.0)
    if len(next_) > limit:
        next_ = next_[np.argpartition(-follows[next_], limit)[:limit]]
    rows = np.union1d(near, next_).astype(np.int64)
    cosine = np.clip((shelf.embedding[rows] @ shelf.embedding[row]).astype(np.float64), 0.0, 1.0)
    behaviour = follows[rows] / best if best > 0.0 else np.zeros(len(rows))
    score = ALPHA * cosine + (1.0 - ALPHA) * behaviour
    order = np.argsort(-score, kind="stable")[:limit]
    return Alike(rows[order], score[order], cosine[order], behaviour[order])


def of_same_kind(shelf: Shelf, category: int, limit: int, allowed: Mask) -> Ids:
    """Rows of a category, the popular ones first, then the newest; of any category for `UNKNOWN`.

    Parameters
    ----------
    category : code of the shelf
    allowed : bool array (n,)
    """
    order = np.concatenate([shelf.hottest, shelf.newest])
    order = order[np.sort(np.unique(order, return_index=True)[1])]
    order = order[allowed[order]]
    chosen = order if category < 0 else order[shelf.category[order] == category]
    return np.asarray(chosen[:limit], np.int64)
