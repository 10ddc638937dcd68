"""Ranks contents that somebody else chose, for one user: the host app's own shelf in the order this user would like.

The champion scores, or the light ranker where there is none or it breaks; the answer says which. Nothing is logged as
served: the caller decides what is shown. What cannot be ranked is named with its reason, never dropped in silence.
"""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from events.cleaning.schema import show
from events.errors import InvalidRequest
from events.queries import content_cards, eligible_cards
from features import profiles
from ranking.candidates.given import Given
from ranking.feed_config import USUAL
from ranking.pipeline.run import Pipeline, run
from ranking.pipeline.shelf import session_taste
from ranking.pipeline.stages import FeedQuery, Ids, Judgement, Scores
from ranking.rerank.hybrid import LightRanker, ModelRanker
from ranking.serving_models import serving_for
from ranking.shelves import RankerFeatures, Stock, current_stock, taste_vector
from ranking.viewer import Viewer, viewer_of

logger = logging.getLogger(__name__)

MAX_GIVEN: Final = 500
SURFACE: Final = "for_you"
ARM: Final = "default"


@dataclass(frozen=True, slots=True)
class RankRequest:
    """Whose order of which contents; `reveal` tells apart withdrawn contents from unknown ones, for the host app."""

    user_id: str
    content_ids: Sequence[str]
    explain: bool = False
    reveal: bool = False

    def __post_init__(self) -> None:
        if not 1 <= len(self.content_ids) <= MAX_GIVEN:
            message = f"content_ids must hold 1 to {MAX_GIVEN} ids; it has {len(self.content_ids)}"
            raise InvalidRequest(message, field="content_ids")
        if len(set(self.content_ids)) < len(self.content_ids):
            twice = next(each for at, each in enumerate(self.content_ids) if each in self.content_ids[:at])
            raise InvalidRequest(f"content_ids must not repeat an id; {show(twice)} comes twice", field="content_ids")


@dataclass(frozen=True, slots=True)
class RankedContent:
    """One content with its score; `signals` is what the score was made of, where that was asked for."""

    content_id: str
    score: float
    signals: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """The order for one user, and what could not be ranked, in the order given: (content id, reason)."""

    items: tuple[RankedContent, ...]
    unranked: tuple[tuple[str, str], ...]
    model_version: str
    fallback_level: str


@dataclass(frozen=True, slots=True)
class _Judgement:
    rows: Ids
    scores: Scores
    level: str
    version: str
    signals: Sequence[Mapping[str, float]] = field(default_factory=list)


def rank(request: RankRequest, *, now: datetime) -> Ranking:
    """Order the given contents for a user, best first.

    Reasons: `unknown` (no such content, or none that the caller may know of), `withdrawn` (by moderation),
    `restricted` (not for this user), `blocked_creator`, `muted_creator`, `muted_category` (by the user's own wishes),
    `too_new` (the snapshot does not have it yet).
    """
    viewer = viewer_of(request.user_id, now=now)
    reasons = _reasons(request.content_ids, viewer, reveal=request.reveal)
    stock = current_stock()
    row_of: Mapping[str, int] = {} if stock is None else stock.shelf.row_of
    for each in request.content_ids:
        if each not in reasons and each not in row_of:
            reasons[each] = "too_new"
    unranked = tuple((each, reasons[each]) for each in request.content_ids if each in reasons)
    rows = np.array([row_of[each] for each in request.content_ids if each not in reasons], np.int64)
    if stock is None or len(rows) == 0:
        return Ranking((), unranked, "none", "none")
    judged = _judge(stock, viewer, rows, request, now=now)
    signals: Sequence[Mapping[str, float] | None] = judged.signals or [None] * len(judged.rows)
    items = tuple(
        RankedContent(stock.shelf.content_id[row], float(score), signal)
        for row, score, signal in zip(judged.rows, judged.scores, signals, strict=True)
    )
    return Ranking(items, unranked, judged.version, judged.level)


def _reasons(content_ids: Collection[str], viewer: Viewer, *, reveal: bool) -> dict[str, str]:
    """Why some contents must not be ranked."""
    cards = eligible_cards(content_ids, viewer.audience)
    reasons = {each: viewer.objection(card) for each, card in cards.items() if viewer.objection(card)}
    missing = [each for each in content_ids if each not in cards]
    known = content_cards(missing) if missing and reveal else {}
    for each in missing:
        card = known.get(each)
        reasons[each] = "unknown" if card is None else "withdrawn" if not card.is_shown else "restricted"
    return reasons


def _judge(stock: Stock, viewer: Viewer, rows: Ids, request: RankRequest, *, now: datetime) -> _Judgement:
    shelf, past = stock.shelf, viewer.past
    taste, model, profile = session_taste(past, shelf), serving_for(request.user_id), profiles.read(request.user_id)
    query = FeedQuery(
        user_id=request.user_id,
        now=now,
        history=past,
        seen=np.empty(0, np.int64),
        user_vector=taste_vector(past, stock),
        surface=SURFACE,
        arm=ARM,
        size=len(rows),
        seed=0,
    )
    light = LightRanker(shelf, taste, USUAL.fusion)
    blocks = RankerFeatures(past, stock, now=now, profile=profile, surface=SURFACE)
    pipeline = Pipeline(
        sources=[(Given(rows), len(rows))],
        filters=[],
        ranker=None if model is None else ModelRanker(model, blocks, light),
        light_ranker=light,
        trending=Given(shelf.hottest),
        rerankers=[],
    )
    result = run(query, pipeline, catalogue_size=len(shelf), timer=time.perf_counter)
    for stage, error in result.account.failures:
        logger.warning("rank for %s: %s broke: %s", request.user_id, stage, error)
    ordered = result.proposals.rows
    signals: list[dict[str, float]] = []
    if request.explain:
        signals, judged = light_signals(stock, query, light, ordered), result.judgement
        for at, signal in enumerate(signals):
            signal.update(_model_signals(judged, at))
    return _Judgement(ordered, result.scores, result.level, result.version, signals)


def _model_signals(judged: Judgement | None, at: int) -> dict[str, float]:
    """What the model expects of one content, and what that is worth; nothing where no model served.

    `probability` is the chance of a long view. `head_...` are all heads by name, `term_...` the seconds that each adds
    to the value, `value_s` their sum.
    """
    if judged is None or not judged.heads:
        return {}
    heads = {f"head_{name}": float(column[at]) for name, column in judged.heads.items()}
    terms = {f"term_{name}": float(column[at]) for name, column in judged.terms.items()}
    return {"probability": heads["head_long_view"], "value_s": sum(terms.values()), **heads, **terms}


def light_signals(stock: Stock, query: FeedQuery, light: LightRanker, rows: Ids) -> list[dict[str, float]]:
    """What the session and the catalogue say of some contents, each in its own unit, before any weight.

    `category_affinity` and `creator_affinity` lie in [-3, 3], `taste_cosine` in [-1, 1]; `popularity` is engaged people
    per day, `successor` the sequential model's score.
    """
    shelf, taste = stock.shelf, light.taste
    columns: dict[str, NDArray[Any]] = {
        "category_affinity": taste.category[shelf.category[rows]],
        "creator_affinity": taste.creator[shelf.creator[rows]],
        "popularity": shelf.popularity[rows],
        "age_h": np.maximum(query.now.timestamp() - shelf.uploaded_s[rows], 0.0) / 3600.0,
    }
    if query.user_vector is not None:
        columns["taste_cosine"] = shelf.embedding[rows] @ query.user_vector
    if shelf.successors is not None and len(taste.positives):
        columns["successor"] = shelf.successors(taste.positives)[rows]
    return [{name: float(column[at]) for name, column in columns.items()} for at in range(len(rows))]
