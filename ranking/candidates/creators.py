"""Creators whom a user might like to follow, judged by their contents and by what the user did with them.

    score = TASTE * best cosine of a content with the user's taste
          + BEHAVIOUR * best successor score, as a share of the largest one
          + AFFINITY * affinity of the last judged contents
          + REACH * log(1 + popularity) as a share of the largest one

The best content counts, not the mean: who makes one kind of clip the user loves is worth following whatever else they
make. For a user nobody knows only reach is left.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.shelf import SessionTaste, Shelf
from ranking.pipeline.stages import Ids, Vector

TASTE: Final = 1.0
BEHAVIOUR: Final = 0.5
AFFINITY: Final = 1.0
REACH: Final = 0.3
NEAR: Final = 500
"""Contents nearest to the taste that are looked at."""


@dataclass(frozen=True, slots=True)
class Creators:
    """Creators, best first; k of them.

    Attributes
    ----------
    code : int64 array (k,), of the shelf
    score : float64 array (k,)
    because : what said most for each: "taste", "behaviour", "affinity" or "popularity"
    """

    code: Ids
    score: NDArray[np.float64]
    because: tuple[str, ...]


REASONS: Final = ("taste", "behaviour", "affinity", "popularity")


def creators_for(
    shelf: Shelf, taste: SessionTaste | None, user_vector: Vector | None, *, limit: int, without: Ids
) -> Creators:
    """At most `limit` creators with an active content, never one of `without` (codes).

    `taste` None leaves behaviour out, as for a user who does not want to be profiled.
    """
    known = shelf.active & (shelf.creator >= 0)
    size = int(shelf.creator.max(initial=-1)) + 1
    terms = np.zeros((len(REASONS), size))
    if taste is not None:
        if user_vector is not None and shelf.nearest is not None:
            rows, cosine = shelf.nearest(user_vector, NEAR, known)
            np.maximum.at(terms[0], shelf.creator[rows], TASTE * cosine)
        if shelf.successors is not None and len(taste.positives):
            follows = np.where(known, np.maximum(shelf.successors(taste.positives), 0.0), 0.0)
            rows = np.flatnonzero(follows)
            np.maximum.at(terms[1], shelf.creator[rows], BEHAVIOUR * follows[rows] / follows.max(initial=1e-12))
        terms[2] = AFFINITY * taste.creator[:size]
    reach = np.log1p(np.bincount(shelf.creator[known], weights=shelf.popularity[known], minlength=size))
    terms[3] = REACH * reach / max(reach.max(initial=0.0), 1e-12)
    score = terms.sum(axis=0)
    possible = np.bincount(shelf.creator[known], minlength=size) > 0
    possible[without] = False
    order = np.argsort(-score, kind="stable")
    code = order[possible[order]][:limit].astype(np.int64)
    because = tuple(REASONS[each] for each in terms[:, code].argmax(axis=0).tolist()) if len(code) else ()
    return Creators(code, score[code], because)


def showpieces(shelf: Shelf, code: Ids, each: int) -> dict[int, Ids]:
    """The most popular active contents of some creators, newest first where none is; at most `each` per creator."""
    rows = np.flatnonzero(shelf.active & np.isin(shelf.creator, code))
    order = rows[np.lexsort((-shelf.uploaded_s[rows], -shelf.popularity[rows]))]
    return {one: order[shelf.creator[order] == one][:each] for one in code.tolist()}
