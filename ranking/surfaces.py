"""The pipeline of each surface, as literals that read from top to bottom. An experiment arm is another like these."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ranking.candidates.content_based import ContentBased
from ranking.candidates.filters import Active, NotRefused, UnlikeSeen, Unseen
from ranking.candidates.following import Following
from ranking.candidates.fresh import Fresh
from ranking.candidates.listings import Newest
from ranking.candidates.popular import Popular
from ranking.candidates.sequential import Sequential
from ranking.candidates.trending import Trending
from ranking.explorers import EXPLORERS, Budget
from ranking.feed_config import USUAL, FeedConfig, Quotas
from ranking.feed_request import FeedRequest
from ranking.pipeline.run import Pipeline
from ranking.pipeline.shelf import SessionTaste, Shelf
from ranking.pipeline.stages import CandidateSource, Filter, Ids, Ranker, ReRanker
from ranking.rerank.assembly import Assemble, Wish
from ranking.rerank.calibration import Calibration
from ranking.rerank.diversity import Diversity
from ranking.rerank.fairness import CreatorFairness
from ranking.rerank.guarantee import Guarantee
from ranking.rerank.mix import Mix
from ranking.rerank.orders import ByTrend, ByUpload
from ranking.shelves import Stock

LEAST_THETA: Final = 0.05


@dataclass(frozen=True, slots=True)
class Desk:
    """What a pipeline is made of: `shelf` is that of `stock`, thinned to what this request may show.

    `recent` has the rows of the walk's last positions before the page, `UNKNOWN` for one that the shelf lacks.
    """

    request: FeedRequest
    stock: Stock
    shelf: Shelf
    taste: SessionTaste
    ranker: Ranker | None
    light: Ranker
    refused_rows: Ids
    rising: Ids
    follows: Ids
    recent: Ids
    config: FeedConfig = USUAL


def _fresh(desk: Desk) -> Fresh:
    due = desk.stock.due(desk.config.guarantee.people)
    return Fresh(desk.shelf, due.rows, due.reach)


SOURCES: Final[Mapping[str, Callable[[Desk], CandidateSource]]] = {
    "sequential": lambda desk: Sequential(desk.shelf, desk.taste),
    "content_based": lambda desk: ContentBased(desk.shelf),
    "popular": lambda desk: Popular(desk.shelf),
    "trending": lambda desk: Trending(desk.shelf, desk.rising),
    "fresh": _fresh,
    "following": lambda desk: Following(desk.shelf, desk.follows),
    "latest": lambda desk: Newest(desk.shelf),
}
"""Sources by the name that quotas give them."""


def guessed(desk: Desk, quotas: Quotas) -> Pipeline:
    """What suits this user, of all or of some categories, whose quotas hold what fills small ones."""
    return Pipeline(
        sources=_sources(desk, quotas),
        filters=_filters(desk),
        ranker=desk.ranker,
        light_ranker=desk.light,
        trending=Popular(desk.shelf),
        rerankers=_page_makers(desk),
        cut=desk.config.cut,
    )


def ordered(desk: Desk, sources: Sequence[tuple[CandidateSource, int]], order: Ranker) -> Pipeline:
    """A promised order, the same for everybody, and so without a model and without re-ranking."""
    return Pipeline(
        sources=sources,
        filters=_filters(desk),
        ranker=None,
        light_ranker=order,
        trending=Popular(desk.shelf),
        rerankers=[],
    )


def listing(desk: Desk) -> Pipeline:
    """Latest upload first: of all, of the creators a user follows, or of one creator, as the shelf was thinned."""
    source = Newest(desk.shelf, desk.request.surface)
    return ordered(desk, [(source, desk.config.listed)], ByUpload(desk.shelf))


PIPELINES: Final[Mapping[str, Callable[[Desk], Pipeline]]] = {
    "for_you": lambda desk: guessed(desk, desk.config.for_you),
    "following": listing,
    # What rises, strongest first, then what many enjoy.
    "trending": lambda desk: ordered(desk, _sources(desk, desk.config.trending), ByTrend(desk.shelf, desk.rising)),
    "latest": listing,
    "category": lambda desk: guessed(desk, desk.config.category),
    "creator": listing,
}


def _sources(desk: Desk, quotas: Quotas) -> list[tuple[CandidateSource, int]]:
    return [(SOURCES[name](desk), quota) for name, quota in quotas.items()]


def _filters(desk: Desk) -> list[Filter]:
    return [Active(desk.shelf), NotRefused(desk.refused_rows), Unseen(), UnlikeSeen(desk.shelf)]


def _page_makers(desk: Desk) -> list[ReRanker]:
    """Diversity, fairness, guarantee, mix and exploration, as much of each as the request asks for.

    Fairness and guarantee come before the mix, whose caps they would break. Fairness begins without debts on every
    page: a debt that pages share would make a page depend on who asked before. `diversity` d becomes theta = usual
    (1 - d) / d, so that 0.5 is the usual; at 0 value alone orders. `exploration` is the share of positions given away,
    0.1 being the usual; at 0 no new content is guaranteed anything either. Without profiling nothing is drawn, and all
    get the same page.
    """
    request, shelf, config = desk.request, desk.shelf, desk.config
    d = request.diversity
    wishes: list[Wish] = [Calibration(shelf, desk.taste.positives)]
    if d is None or d > 0.0:
        theta = config.theta if d is None else max(config.theta * (1.0 - d) / d, LEAST_THETA)
        wishes.insert(0, Diversity(shelf, theta))
    rules, of_page = config.mix, request.max_per_creator is not None
    if request.max_per_creator is not None:
        rules = replace(rules, per_creator=request.max_per_creator, creator_window=request.limit)
    stages: list[ReRanker] = [
        Assemble(wishes),
        CreatorFairness(desk.stock.creator_group, np.zeros(2), config.fairness_loss),
    ]
    share = request.exploration if request.profiling else 0.0
    due = desk.stock.due(config.guarantee.people)
    explores = share is None or share > 0.0
    if explores and len(due.rows):
        stages.append(Guarantee(due.need, config.guarantee))
    # A cap that the request states is one of the page.
    stages.append(Mix(shelf, desk.taste.evidence, rules, desk.recent, of_page))
    if explores:
        explorer = EXPLORERS[config.explorer]
        stages.append(explorer(desk.stock, shelf, config, Budget(share, guaranteed=len(due.rows) > 0)))
    return stages
