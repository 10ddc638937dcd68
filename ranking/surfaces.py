"""The pipeline of each surface, as literals that read from top to bottom. An experiment arm is another like these."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from ranking.candidates.content_based import ContentBased
from ranking.candidates.filters import Active, NotRefused, Unseen
from ranking.candidates.fresh import Fresh
from ranking.candidates.listings import Newest
from ranking.candidates.popular import Popular
from ranking.candidates.sequential import Sequential
from ranking.candidates.trending import Trending
from ranking.feed_request import FeedRequest
from ranking.pipeline.run import Pipeline
from ranking.pipeline.shelf import SessionTaste, Shelf
from ranking.pipeline.stages import Ids, Ranker, ReRanker
from ranking.rerank.assembly import Assemble, Wish
from ranking.rerank.calibration import Calibration
from ranking.rerank.diversity import Diversity
from ranking.rerank.hybrid import LightRanker
from ranking.rerank.mix import Mix, MixRules
from ranking.rerank.orders import ByTrend, ByUpload
from ranking.rerank.thompson import Thompson, ThompsonConfig
from ranking.shelves import Stock

USUAL_THETA: Final = 2.0
LEAST_THETA: Final = 0.05


@dataclass(frozen=True, slots=True)
class Desk:
    """What a pipeline is made of: `shelf` is that of `stock`, thinned to what this request may show."""

    request: FeedRequest
    stock: Stock
    shelf: Shelf
    taste: SessionTaste
    ranker: Ranker | None
    light: LightRanker
    refused_rows: Ids
    rising: Ids


def for_you(desk: Desk) -> Pipeline:
    """The default: what suits this user."""
    shelf = desk.shelf
    return Pipeline(
        sources=[
            (Sequential(shelf, desk.taste), 150),
            (ContentBased(shelf), 150),
            (Popular(shelf), 100),
            (Trending(shelf, desk.rising), 50),
            (Fresh(shelf), 50),
        ],
        filters=[Active(shelf), NotRefused(desk.refused_rows), Unseen()],
        ranker=desk.ranker,
        light_ranker=desk.light,
        trending=Popular(shelf),
        rerankers=_page_makers(desk),
    )


def category(desk: Desk) -> Pipeline:
    """Some categories, as this user would like them; what is listed beside the guesses fills small categories."""
    shelf = desk.shelf
    return Pipeline(
        sources=[
            (Sequential(shelf, desk.taste), 100),
            (ContentBased(shelf), 100),
            (Popular(shelf), 100),
            (Trending(shelf, desk.rising), 50),
            (Newest(shelf), 100),
        ],
        filters=[Active(shelf), NotRefused(desk.refused_rows), Unseen()],
        ranker=desk.ranker,
        light_ranker=desk.light,
        trending=Popular(shelf),
        rerankers=_page_makers(desk),
    )


def trending(desk: Desk) -> Pipeline:
    """What rises, strongest first, then what many enjoy; the same for everybody."""
    shelf = desk.shelf
    return Pipeline(
        sources=[(Trending(shelf, desk.rising), 100), (Popular(shelf), 200)],
        filters=[Active(shelf), NotRefused(desk.refused_rows), Unseen()],
        ranker=None,
        light_ranker=ByTrend(shelf, desk.rising),
        trending=Popular(shelf),
        rerankers=[],
    )


def listing(desk: Desk) -> Pipeline:
    """Latest upload first: of all, of the creators a user follows, or of one creator, as the shelf was thinned."""
    shelf = desk.shelf
    return Pipeline(
        sources=[(Newest(shelf, desk.request.surface), 300)],
        filters=[Active(shelf), NotRefused(desk.refused_rows), Unseen()],
        ranker=None,
        light_ranker=ByUpload(shelf),
        trending=Popular(shelf),
        rerankers=[],
    )


PIPELINES: Final[Mapping[str, Callable[[Desk], Pipeline]]] = {
    "for_you": for_you,
    "following": listing,
    "trending": trending,
    "latest": listing,
    "category": category,
    "creator": listing,
}


def _page_makers(desk: Desk) -> list[ReRanker]:
    """Diversity, mix and exploration, as much of each as the request asks for.

    `diversity` d becomes theta = 2 (1 - d) / d, so that 0.5 is the usual; at 0 value alone orders. `exploration` is the
    share of positions given away, 0.1 being the usual; without profiling nothing is drawn, and all get the same page.
    """
    request, shelf = desk.request, desk.shelf
    d = request.diversity
    wishes: list[Wish] = [Calibration(shelf, desk.taste.positives)]
    if d is None or d > 0.0:
        theta = USUAL_THETA if d is None else max(USUAL_THETA * (1.0 - d) / d, LEAST_THETA)
        wishes.insert(0, Diversity(shelf, theta))
    rules = MixRules()
    if request.max_per_creator is not None:
        rules = replace(rules, per_creator=request.max_per_creator, creator_window=request.limit)
    stages: list[ReRanker] = [Assemble(wishes), Mix(shelf, desk.taste.evidence, rules)]
    share = request.exploration if request.profiling else 0.0
    if share is None or share > 0.0:
        config = ThompsonConfig() if share is None else ThompsonConfig(block=max(round(1.0 / share), 1))
        stages.append(Thompson([desk.stock.belief], desk.stock.new, config))
    return stages
