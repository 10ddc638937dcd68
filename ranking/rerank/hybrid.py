"""Rankers: the session's own signals, alone (light) or fused with the trained model's score.

A model trained hourly cannot know that this user has just turned to another topic. The session can: which categories
and creators the last clips were watched or skipped in, how close a content is to the taste vector, what usually
follows. The source design blends two scores with one weight; here every signal has its own, in one frozen dataclass.

    score = model   * z(logit p)                      how likely a satisfied watch is, by the trained ranker
          + evidence * (taste * cos(user, content)    the taste vector holds skips with negative weight
                        + category * affinity         mean judgement of the category in the last 20, shrunk
                        + creator  * affinity)
          + sequential * z(successor score)
          + popularity * z(log(1 + engagement)) + freshness * 2^(-age / 2 days)
          - passed_over where the user left the page it was on

Bounded signals (cosine, affinities) enter as they are, because their size carries meaning: z-scoring the affinities of
a user with one event would blow noise up to full strength. Unbounded ones are standardised over the candidates.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.shelf import SessionTaste, Shelf
from ranking.pipeline.stages import FeedQuery, Ids, Scores

FRESH_HALF_LIFE_S = 2 * 86_400.0
LOGIT_CLIP = 1e-6


@dataclass(frozen=True, slots=True)
class FusionWeights:
    """How much each signal counts, in units of one standard deviation of the model's score.

    Taste and category together outweigh the model once a handful of clips were judged: after five, a category always
    watched and one always skipped lie about four model deviations apart; after the very first event about one.
    """

    model: float = 1.0
    taste: float = 2.0
    category: float = 2.0
    creator: float = 0.5
    sequential: float = 0.5
    popularity: float = 0.4
    freshness: float = 0.3
    passed_over: float = 1.0


class ScoringModel(Protocol):
    """What `ranking.ranker.bundle.ServingBundle` offers; re-rankers and rankers do not import each other."""

    @property
    def version(self) -> str:
        """Name of the model version."""

    def score(self, blocks: Any) -> NDArray[np.float32]:
        """Probability of a satisfied watch for every content of the feature blocks."""


@dataclass(slots=True)
class LightRanker:
    """Session signals, popularity and freshness: serves before the first model exists and when the model fails."""

    shelf: Shelf
    taste: SessionTaste
    passed_over: Ids
    weights: FusionWeights = FusionWeights()
    version: str = "light"

    def score(self, query: FeedQuery, candidates: Ids) -> Scores:
        """One finite score per candidate."""
        w, shelf, taste = self.weights, self.shelf, self.taste
        personal = w.category * taste.category[shelf.category[candidates]]
        personal = personal + w.creator * taste.creator[shelf.creator[candidates]]
        if query.user_vector is not None:
            personal = personal + w.taste * (shelf.embedding[candidates] @ query.user_vector)
        score = taste.evidence * personal
        follows = taste.follows(shelf)
        if follows is not None:
            score = score + w.sequential * standardised(follows[candidates])
        age_s = np.maximum(query.now.timestamp() - shelf.uploaded_s[candidates], 0.0)
        score = score + w.popularity * standardised(np.log1p(shelf.popularity[candidates]))
        score = score + w.freshness * np.exp2(-age_s / FRESH_HALF_LIFE_S)
        score = score - w.passed_over * np.isin(candidates, self.passed_over)
        return np.asarray(score, np.float32)


@dataclass(slots=True)
class ModelRanker:
    """The trained model's score fused with the session's signals.

    `blocks` gives the model's features of the candidates; it is called once per request.
    """

    model: ScoringModel
    blocks: Callable[[Ids], Any]
    session: LightRanker
    version: str = field(init=False)

    def __post_init__(self) -> None:
        self.version = self.model.version

    def score(self, query: FeedQuery, candidates: Ids) -> Scores:
        """One finite score per candidate; the model's errors pass through, so that the light ranker takes over."""
        if len(candidates) == 0:
            return np.empty(0, np.float32)
        chance = np.clip(self.model.score(self.blocks(candidates)), LOGIT_CLIP, 1.0 - LOGIT_CLIP).astype(np.float64)
        fitted = self.session.weights.model * standardised(np.log(chance / (1.0 - chance)))
        return np.asarray(fitted + self.session.score(query, candidates), np.float32)


def standardised(values: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float64]:
    """z-scores over the candidates; all equal (or fewer than two) gives zeros, NaN stays NaN.

    >>> standardised(np.array([1.0, 3.0])).tolist()
    [-1.0, 1.0]
    >>> standardised(np.array([2.0, 2.0])).tolist()
    [0.0, 0.0]
    """
    wide = np.asarray(values, np.float64)
    if len(wide) == 0:
        return wide
    spread = wide.std()
    centred = wide - wide.mean()
    return centred if spread == 0.0 else np.asarray(centred / spread)
