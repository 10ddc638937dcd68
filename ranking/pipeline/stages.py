"""The contracts of the pipeline: each stage returns the least it can.

Ids, a mask, scores, positions. A stage cannot invent, duplicate or silently drop a content, and `run.py` asserts the
rest (lengths, finiteness, unique positions) once for all. Stages do no I/O: the query carries all they may know, and
what they read of the catalogue was given to them when they were built.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from events.columnar.history import History
from ranking.pipeline.moves import Reason

Ids = NDArray[np.int64]
"""Rows of the content snapshot: dense integers, so that a lookup is one array index."""
Mask = NDArray[np.bool_]
Scores = NDArray[np.float32]
Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FeedQuery:
    """All that stages may know of one request; hydrated once, so that stages do no I/O.

    Attributes
    ----------
    user_id : None for a visitor nobody knows
    now : the moment of the request, in UTC
    history : the user's last events, oldest first
    seen : rows of the snapshot that the user has seen or was just served
    user_vector : taste in the content embedding space (unit length); None means cold start, and every stage copes
    surface : where the feed is shown, "for_you"
    arm : the experiment arm, or "default"
    size : number of positions to fill
    seed : makes the random stages of this request repeatable
    spare : how many of the positions, the last ones, only stand in for what the database may withdraw
    begins : whether the page is the first of its walk
    """

    user_id: str | None
    now: datetime
    history: History
    seen: Ids
    user_vector: Vector | None
    surface: str
    arm: str
    size: int
    seed: int
    spare: int = 0
    begins: bool = True

    @property
    def shown(self) -> int:
        """Positions that the page shows if nothing is withdrawn."""
        return self.size - self.spare


@dataclass(frozen=True, slots=True)
class Positions:
    """The order a re-ranker chose.

    Attributes
    ----------
    picks : int64 array (k,), indices into the candidates it was given, no repeats
    propensity : float32 array (k,), probability that this policy shows this candidate at this position, in (0, 1]
    reasons : position to why its pick went before better ones; a position that is not named took the best one left
    """

    picks: NDArray[np.int64]
    propensity: NDArray[np.float32]
    reasons: Mapping[int, Reason] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Scores of n candidates, and what they are made of; every array has length n.

    Attributes
    ----------
    scores : float32, finite, higher is better
    heads : what the model expects, by name: chances, and seconds of watching
    terms : what each head adds to the value, by name, in seconds
    signals : what the model's value and the session's signals each add to the score, by name
    weights : which version of the value weights served, and for which segment: "3/regular"; "" without a model
    """

    scores: Scores
    heads: Mapping[str, Scores] = field(default_factory=dict)
    terms: Mapping[str, Scores] = field(default_factory=dict)
    signals: Mapping[str, Scores] = field(default_factory=dict)
    weights: str = ""

    def take(self, index: NDArray[np.int64]) -> "Judgement":
        """The chosen candidates, in the order of the index."""

        def of(columns: Mapping[str, Scores]) -> dict[str, Scores]:
            return {name: column[index] for name, column in columns.items()}

        return Judgement(self.scores[index], of(self.heads), of(self.terms), of(self.signals), self.weights)


class CandidateSource(Protocol):
    """Proposes contents. It fails open: an error costs this source's ideas, never the feed."""

    name: str

    def retrieve(self, query: FeedQuery, limit: int) -> Ids:
        """At most `limit` rows, unique, best first, possibly empty."""


class Filter(Protocol):
    """Refuses contents. It fails closed: if it breaks, nothing it should have judged is shown."""

    name: str

    def keep(self, query: FeedQuery, candidates: Ids) -> Mask:
        """One bool per candidate."""


class Ranker(Protocol):
    """Scores candidates."""

    version: str

    def score(self, query: FeedQuery, candidates: Ids) -> Scores:
        """One finite score per candidate, in the order given; higher is better."""


class JudgingRanker(Ranker, Protocol):
    """A ranker that also says what its scores are made of; asked instead of `score`."""

    def judge(self, query: FeedQuery, candidates: Ids) -> Judgement:
        """One judgement per candidate, in the order given."""


def judge(ranker: Ranker, query: FeedQuery, candidates: Ids) -> Judgement:
    """What a ranker says of the candidates, with its reasons where it gives any."""
    # A runtime protocol would say the same, and take longer than some of the stages.
    if hasattr(ranker, "judge"):
        return cast(JudgingRanker, ranker).judge(query, candidates)
    return Judgement(ranker.score(query, candidates))


class ReRanker(Protocol):
    """Orders candidates and says with which probability it chose so."""

    name: str

    def order(self, query: FeedQuery, candidates: Ids, scores: Scores) -> Positions:
        """At least `query.size` positions where there are that many candidates."""
