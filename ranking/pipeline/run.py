"""Executes a pipeline: sources, filters, ranker, re-rankers, and holds every stage to its contract.

Sources fail open: an error costs their ideas and is counted by name. Filters fail closed: if one breaks, none of the
candidates survives. A missing or failing ranker gives way to the light ranker, that one to trending order; the answer
says which level served. A failing re-ranker leaves the order as it was. What broke is returned, not logged: this
module does no I/O and has no clock (`timer` is an argument).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ranking.pipeline.cut import CutRules, kept
from ranking.pipeline.lookup import all_different
from ranking.pipeline.moves import Move, Passage, moves_of
from ranking.pipeline.proposals import Proposals, merge
from ranking.pipeline.stages import (
    CandidateSource,
    FeedQuery,
    Filter,
    Ids,
    Judgement,
    Positions,
    Ranker,
    ReRanker,
    Scores,
    judge,
)

Level = Literal["ranked", "light", "trending"]
Timer = Callable[[], float]


class ContractBroken(ValueError):
    """A stage returned what its contract forbids."""


class NeedsProvenance(Protocol):
    """A re-ranker that must know which source proposed what; asked once per request, before `order`."""

    def knowing(self, proposals: Proposals) -> ReRanker:
        """The re-ranker for these candidates."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One way to make a feed, as a literal that reads from top to bottom.

    `sources` carry their quota. `ranker` is None while there is no model. `trending` gives the order of last resort
    among the surviving candidates. Filters run in the order given: cheapest first. `cut` limits what the ranker is
    asked about; without it or without a ranker all candidates go on.
    """

    sources: Sequence[tuple[CandidateSource, int]]
    filters: Sequence[Filter]
    ranker: Ranker | None
    light_ranker: Ranker
    trending: CandidateSource
    rerankers: Sequence[ReRanker]
    cut: CutRules | None = None


@dataclass(slots=True)
class Account:
    """What happened on the way: the debug view and the telemetry come from here.

    Attributes
    ----------
    retrieved : candidates per source
    alone : of the candidates that passed every filter, those that no other source proposed, per source
    dropped : candidates refused per filter, and by "cut" those that the ranker was not asked about
    failures : "stage: error" of every stage that broke
    seconds : wall time per stage
    skipped : stages left out because the time was up
    """

    retrieved: dict[str, int] = field(default_factory=dict)
    alone: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    @contextmanager
    def timed(self, stage: str, timer: Timer) -> Iterator[None]:
        start = timer()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + timer() - start

    def blame(self, stage: str, error: Exception) -> None:
        self.failures.append((stage, f"{type(error).__name__}: {error}"))


@dataclass(frozen=True, slots=True)
class Run:
    """Ordered candidates of one request; n of them, best position first.

    Attributes
    ----------
    proposals : the ordered candidates with their provenance
    scores : float32 array (n,)
    propensity : float32 array (n,), in (0, 1]
    level : which ranker served
    version : of that ranker
    account : counts, drops, failures, timings
    trail : the order of every re-ranker that served, first one first
    judged : what the ranker said of all candidates, in the order it was asked
    order : int64 array (n,), place of each candidate there
    """

    proposals: Proposals
    scores: Scores
    propensity: NDArray[np.float32]
    level: Level
    version: str
    account: Account
    trail: tuple[Passage, ...] = ()
    judged: Judgement | None = None
    order: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.proposals)

    @property
    def judgement(self) -> Judgement | None:
        """What the scores are made of, best position first; nothing but scores where the ranker does not say.

        Put in order only when asked: dozens of columns that most requests never look at.
        """
        return None if self.judged is None or self.order is None else self.judged.take(self.order)

    def moves(self, place: int) -> tuple[Move, ...]:
        """How re-ranking brought the candidate at `place` there from its place by score."""
        return moves_of(place, self.trail)


def run(query: FeedQuery, pipeline: Pipeline, *, catalogue_size: int, timer: Timer, deadline: float = math.inf) -> Run:
    """Run every stage; `catalogue_size` bounds the rows a source may name.

    Once `timer` reads `deadline`, what is left out are further sources (the first is always asked), the ranker, whose
    place the light ranker takes, and re-rankers; filters never are.
    """
    account = Account()
    late = _Late(account, timer, deadline)
    proposals = _retrieve(query, pipeline, catalogue_size, account, timer, late)
    proposals = _filter(query, pipeline, proposals, account, timer)
    account.alone = proposals.alone()
    proposals = _cut(query, pipeline, proposals, account, timer)
    judged, level, version = _score(query, pipeline, proposals.rows, account, timer, late)
    best_first = np.argsort(-judged.scores, kind="stable")
    proposals, scores, order = proposals.take(best_first), judged.scores[best_first], best_first
    propensity = np.ones(len(proposals), np.float32)
    trail: list[Passage] = []
    for stage in pipeline.rerankers:
        if late(stage.name):
            continue
        with account.timed(stage.name, timer):
            try:
                chosen = _knowing(stage, proposals).order(query, proposals.rows, scores)
                check_positions(chosen, len(proposals), query.size)
            except Exception as error:  # an order of second choice is better than no feed
                account.blame(stage.name, error)
                continue
        # Each re-ranker reports its choice given the order it was handed, so the chances multiply. The product is the
        # chance over all draws as long as at most one stage of a pipeline is random.
        propensity = propensity[chosen.picks] * chosen.propensity
        proposals, scores, order = proposals.take(chosen.picks), scores[chosen.picks], order[chosen.picks]
        trail.append(Passage(stage.name, chosen.picks, chosen.reasons))
    return Run(proposals, scores, propensity, level, version, account, tuple(trail), judged, order)


@dataclass(frozen=True, slots=True)
class _Late:
    """Whether the time is up, and the note that a stage was left out for it."""

    account: Account
    timer: Timer
    deadline: float

    def __call__(self, stage: str) -> bool:
        if self.timer() < self.deadline:
            return False
        self.account.skipped.append(stage)
        return True


def _retrieve(
    query: FeedQuery, pipeline: Pipeline, size: int, account: Account, timer: Timer, late: _Late
) -> Proposals:
    retrieved: list[tuple[str, int, Ids]] = []
    for source, quota in pipeline.sources:
        if retrieved and late(source.name):
            continue
        with account.timed(source.name, timer):
            try:
                rows = source.retrieve(query, quota)
                check_ids(rows, quota, size)
            except Exception as error:  # fail open: this source's ideas are lost, the feed is not
                account.blame(source.name, error)
                rows = np.empty(0, np.int64)
        account.retrieved[source.name] = len(rows)
        retrieved.append((source.name, quota, rows))
    return merge(retrieved)


def _filter(query: FeedQuery, pipeline: Pipeline, proposals: Proposals, account: Account, timer: Timer) -> Proposals:
    for stage in pipeline.filters:
        with account.timed(stage.name, timer):
            try:
                keep = stage.keep(query, proposals.rows)
                check_mask(keep, len(proposals))
            except Exception as error:  # fail closed: nothing it should have judged is shown
                account.blame(stage.name, error)
                keep = np.zeros(len(proposals), np.bool_)
        account.dropped[stage.name] = int((~keep).sum())
        proposals = proposals.take(np.flatnonzero(keep))
    return proposals


def _cut(query: FeedQuery, pipeline: Pipeline, proposals: Proposals, account: Account, timer: Timer) -> Proposals:
    """The candidates that the ranker is asked about; all of them where the light ranker breaks."""
    rules = pipeline.cut
    if rules is None or pipeline.ranker is None or len(proposals) <= rules.most:
        return proposals
    with account.timed("cut", timer):
        try:
            scores = pipeline.light_ranker.score(query, proposals.rows)
            check_scores(scores, len(proposals))
        except Exception as error:  # the ranker takes longer, and the feed is the same
            account.blame("cut", error)
            return proposals
        going_on = kept(proposals, scores, rules)
        account.dropped["cut"] = len(proposals) - len(going_on)
        return proposals.take(going_on)


def _knowing(stage: ReRanker, proposals: Proposals) -> ReRanker:
    """The re-ranker for these candidates."""
    # A runtime protocol would say the same, and take longer than some of the stages.
    return cast(NeedsProvenance, stage).knowing(proposals) if hasattr(stage, "knowing") else stage


def _score(
    query: FeedQuery, pipeline: Pipeline, candidates: Ids, account: Account, timer: Timer, late: _Late
) -> tuple[Judgement, Level, str]:
    rankers: tuple[tuple[Level, Ranker | None], ...] = (("ranked", pipeline.ranker), ("light", pipeline.light_ranker))
    for level, ranker in rankers:
        if ranker is None or (level == "ranked" and late(level)):
            continue
        with account.timed(level, timer):
            try:
                judged = judge(ranker, query, candidates)
                check_scores(judged.scores, len(candidates))
            except Exception as error:  # the next level serves, and the answer says so
                account.blame(level, error)
                continue
        return judged, level, ranker.version
    return Judgement(_trending_scores(query, pipeline, candidates, account)), "trending", "trending"


def _trending_scores(query: FeedQuery, pipeline: Pipeline, candidates: Ids, account: Account) -> Scores:
    """Scores that put candidates into trending order, the ones it does not name last, in the order they came."""
    scores = np.zeros(len(candidates), np.float32)
    try:
        leaders = pipeline.trending.retrieve(query, max(len(candidates), 1))
    except Exception as error:  # the order of proposal remains
        account.blame("trending", error)
        return scores
    worth = {int(row): 1.0 / (place + 1.0) for place, row in enumerate(leaders)}
    return np.array([worth.get(int(row), 0.0) for row in candidates], np.float32)


def check_ids(rows: Ids, limit: int, catalogue_size: int) -> None:
    """Unique rows of the catalogue, at most `limit`, else `ContractBroken`."""
    if rows.ndim != 1 or rows.dtype.kind != "i":
        raise ContractBroken(f"rows must be a one-dimensional integer array, got {rows.dtype} {rows.shape}")
    if len(rows) > limit:
        raise ContractBroken(f"{len(rows)} rows for a limit of {limit}")
    if len(rows) and (rows.min() < 0 or rows.max() >= catalogue_size):
        raise ContractBroken(f"rows {rows.min()}..{rows.max()} in a catalogue of {catalogue_size}")
    if not all_different(rows):
        raise ContractBroken("a row is named twice")


def check_mask(keep: NDArray[np.bool_], expected: int) -> None:
    """One bool per candidate, else `ContractBroken`."""
    if keep.dtype != np.bool_ or keep.shape != (expected,):
        raise ContractBroken(f"a mask of {keep.dtype} {keep.shape} for {expected} candidates")


def check_scores(scores: Scores, expected: int) -> None:
    """One finite score per candidate, else `ContractBroken`."""
    if scores.shape != (expected,):
        raise ContractBroken(f"scores {scores.shape} for {expected} candidates")
    if not np.isfinite(scores).all():
        raise ContractBroken(f"{int((~np.isfinite(scores)).sum())} scores are not finite")


def check_positions(chosen: Positions, candidates: int, size: int) -> None:
    """Indices without repeats, enough of them, propensities in (0, 1], else `ContractBroken`."""
    check_ids(chosen.picks, candidates, candidates)
    if len(chosen.picks) < min(size, candidates):
        raise ContractBroken(f"{len(chosen.picks)} positions where {min(size, candidates)} were asked for")
    if chosen.propensity.shape != chosen.picks.shape:
        raise ContractBroken(f"{chosen.propensity.shape} propensities for {chosen.picks.shape} positions")
    # False for NaN too.
    if not (chosen.propensity.min(initial=1.0) > 0.0 and chosen.propensity.max(initial=1.0) <= 1.0):
        raise ContractBroken("a propensity lies outside (0, 1]")
    if chosen.reasons and not 0 <= min(chosen.reasons) <= max(chosen.reasons) < len(chosen.picks):
        raise ContractBroken(f"reasons for positions {sorted(chosen.reasons)} of {len(chosen.picks)}")
