"""Rankers: the session's own signals, alone (light) or fused with the value that the trained model expects.

A model trained hourly cannot know that this user has just turned to another topic. The session can: which categories
and creators the last clips were watched or skipped in, how close a content is to the taste vector, what usually
follows. The source design blends two scores with one weight; here every signal has its own, in one frozen dataclass.

    score = model   * z(value)                        worth of the content by the trained heads and their weights
          + evidence * (taste * cos(user, content)    the taste vector holds skips with negative weight
                        + category * affinity         mean judgement of the category in the last 20, shrunk
                        + creator  * affinity)
          + sequential * z(successor score)
          + popularity * z(log(1 + engagement)) + freshness * 2^(-age / 2 days)

Bounded signals (cosine, affinities) enter as they are, because their size carries meaning: z-scoring the affinities of
a user with one event would blow noise up to full strength. Unbounded ones are standardised over the candidates.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.shelf import SessionTaste, Shelf
from ranking.pipeline.stages import FeedQuery, Ids, Judgement, Scores

FRESH_HALF_LIFE_S = 2 * 86_400.0


@dataclass(frozen=True, slots=True)
class FusionWeights:
    """How much each signal counts, in units of one standard deviation of the model's score.

    Taste and category together outweigh the model once a handful of clips were judged: after five, a category always
    watched and one always skipped lie about four model deviations apart; after the very first event about one.

    `beside_model` scales taste, category and creator where a model ranks, which knows some of the same. On KuaiRand
    half of them orders better than all (AUC +0.0157 to +0.0196, paired by user; `bench quality --mode hybrid`), a tenth
    best. That log tells nothing of what changes within a session, and below 1 somebody who watched fifteen clips of a
    family gets fewer of it; what a system's own log says is fitted on top with every model (`fusion_weights`).
    """

    model: float = 1.0
    taste: float = 2.0
    category: float = 2.0
    creator: float = 0.5
    sequential: float = 0.5
    popularity: float = 0.4
    freshness: float = 0.3
    beside_model: float = 1.0

    @property
    def with_model(self) -> "FusionWeights":
        """The weights that serve beside a trained model."""
        factor = self.beside_model
        return replace(self, taste=factor * self.taste, category=factor * self.category, creator=factor * self.creator)


MOST_FACTOR = 2.0
"""By which a fitted factor may raise or lower a weight: see `fusion_weights`."""


def scaled(weights: FusionWeights, factors: Mapping[str, float]) -> FusionWeights:
    """The weights times their factors; names without a factor stay, and factors beyond the bounds are cut.

    >>> scaled(FusionWeights(taste=2.0), {"taste": 1.5}).taste, scaled(FusionWeights(taste=2.0), {"taste": 9.0}).taste
    (3.0, 4.0)
    """
    within = {name: min(max(factor, 1.0 / MOST_FACTOR), MOST_FACTOR) for name, factor in factors.items()}
    return replace(weights, **{name: getattr(weights, name) * factor for name, factor in within.items()})


class Valuation(Protocol):
    """What `ranking.ranker.valued.Valuation` offers."""

    @property
    def value(self) -> NDArray[np.float64]:
        """Worth of every content, in seconds."""

    @property
    def heads(self) -> Mapping[str, NDArray[np.float32]]:
        """What the model expects, by name."""

    @property
    def terms(self) -> Mapping[str, NDArray[np.float32]]:
        """What each head adds to the value, by name."""

    @property
    def segment(self) -> str:
        """Of the user."""

    @property
    def weights_version(self) -> int:
        """Of the value weights."""


class ValuingModel(Protocol):
    """What `ranking.ranker.valued.ValuedModel` offers; re-rankers and rankers do not import each other."""

    @property
    def version(self) -> str:
        """Name of the model version."""

    @property
    def fusion(self) -> Mapping[str, float]:
        """Factors on the weights of the session's signals, by name."""

    def value(self, blocks: Any) -> Valuation:
        """Judge every content of the feature blocks."""


@dataclass(slots=True)
class LightRanker:
    """Session signals, popularity and freshness: serves before the first model exists and when the model fails."""

    shelf: Shelf
    taste: SessionTaste
    weights: FusionWeights = FusionWeights()
    version: str = "light"

    def score(self, query: FeedQuery, candidates: Ids) -> Scores:
        """One finite score per candidate."""
        return self.judge(query, candidates).scores

    def judge(self, query: FeedQuery, candidates: Ids) -> Judgement:
        """The score as the sum of its signals."""
        return _sum_of(self.signals(query, candidates), len(candidates))

    def signals(self, query: FeedQuery, candidates: Ids) -> dict[str, NDArray[np.float64]]:
        """What each signal adds to the score, by name; a signal that says nothing is left out."""
        w, shelf, taste = self.weights, self.shelf, self.taste
        said: dict[str, NDArray[Any]] = {
            "category": taste.evidence * w.category * taste.category[shelf.category[candidates]],
            "creator": taste.evidence * w.creator * taste.creator[shelf.creator[candidates]],
        }
        if query.user_vector is not None:
            said["taste"] = taste.evidence * w.taste * (shelf.embedding[candidates] @ query.user_vector)
        follows = taste.follows(shelf)
        if follows is not None:
            said["sequential"] = w.sequential * standardised(follows[candidates])
        age_s = np.maximum(query.now.timestamp() - shelf.uploaded_s[candidates], 0.0)
        said["popularity"] = w.popularity * standardised(np.log1p(shelf.popularity[candidates]))
        said["freshness"] = w.freshness * np.exp2(-age_s / FRESH_HALF_LIFE_S)
        return {name: np.asarray(signal, np.float64) for name, signal in said.items()}


@dataclass(slots=True)
class ModelRanker:
    """The value of the trained model's heads fused with the session's signals.

    `blocks` gives the model's features of the candidates; it is called once per request. The weights are those of
    `session` times the factors that were fitted with the model.
    """

    model: ValuingModel
    blocks: Callable[[Ids], Any]
    session: LightRanker
    version: str = field(init=False)

    def __post_init__(self) -> None:
        self.version = self.model.version
        self.session = replace(self.session, weights=scaled(self.session.weights.with_model, self.model.fusion))

    def score(self, query: FeedQuery, candidates: Ids) -> Scores:
        """One finite score per candidate; the model's errors pass through, so that the light ranker takes over."""
        return self.judge(query, candidates).scores

    def judge(self, query: FeedQuery, candidates: Ids) -> Judgement:
        """The same with the heads, the terms of the value, and what each signal adds to the score."""
        if len(candidates) == 0:
            return Judgement(np.empty(0, np.float32))
        valued = self.model.value(self.blocks(candidates))
        signals = {"model": self.session.weights.model * standardised(valued.value)}
        fused = _sum_of(signals | self.session.signals(query, candidates), len(candidates))
        weights = f"{valued.weights_version}/{valued.segment}"
        return Judgement(fused.scores, valued.heads, valued.terms, fused.signals, weights)


def _sum_of(signals: Mapping[str, NDArray[np.float64]], n: int) -> Judgement:
    total = np.zeros(n)
    for signal in signals.values():
        total += signal
    named = {name: signal.astype(np.float32) for name, signal in signals.items()}
    return Judgement(total.astype(np.float32), signals=named)


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
