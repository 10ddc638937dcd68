"""Contents similar to one content, for the page of that content.

    neighbours (embedding and behaviour) --> the same category --> the newest uploads --> checked against the database

What the snapshot does not know yet, a fresh upload, starts with its category. Every content is eligible at this moment,
none is the content itself, and no creator comes twice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from events import queries
from events.cleaning.schema import show
from events.errors import NotFound
from events.queries import ContentCard
from ranking.candidates.alike import alike, of_same_kind
from ranking.candidates.expressions import parse_filter
from ranking.candidates.filters import codes_of
from ranking.pipeline.shelf import UNKNOWN
from ranking.pipeline.stages import Mask
from ranking.shelves import Stock, current_stock
from ranking.tables import SnapshotTable, passing
from ranking.viewer import Viewer, viewer_of

MAX_SIMILAR: Final = 50
MOST_CHECKED: Final = 400
"""Candidates that are looked up in the database; enough for a full page at one per creator."""
_DEPTH: Final = 150


@dataclass(frozen=True, slots=True)
class SimilarRequest:
    """Like what, how many, for whom; empty sets allow every category and language, an empty `filter` everything."""

    content_id: str
    count: int = 10
    user_id: str | None = None
    categories: frozenset[str] = frozenset()
    languages: frozenset[str] = frozenset()
    filter: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A content that might be shown, before its eligibility is known; `score` is None where nothing compares it."""

    content_id: str
    source: str
    score: float | None = None
    cosine: float | None = None
    behaviour: float | None = None


@dataclass(frozen=True, slots=True)
class SimilarPage:
    """What is similar, best first; `fallback_level` is the source of the first one: similar, category or latest."""

    content_id: str
    items: tuple[tuple[Candidate, ContentCard], ...]
    fallback_level: str
    snapshot: str


def similar(request: SimilarRequest, *, now: datetime) -> SimilarPage:
    """Answer a page; three queries, two more for a user.

    Raises
    ------
    NotFound : the content is unknown or not active
    """
    seed = queries.content_cards([request.content_id]).get(request.content_id)
    if seed is None or not seed.is_shown:
        raise NotFound(f"there is no content with the id {show(request.content_id)}", content_id=request.content_id)
    viewer = viewer_of(request.user_id, now=now)
    stock = current_stock()
    found = _candidates(request, seed, viewer, stock, now)
    candidates = list(_unique(found, without={seed.content_id, *viewer.met}))
    cards = queries.eligible_cards([each.content_id for each in candidates[:MOST_CHECKED]], viewer.audience)
    if request.filter:
        cards = passing(cards, request.filter, now)
    items: list[tuple[Candidate, ContentCard]] = []
    creators: set[str] = set()
    for candidate in candidates:
        card = cards.get(candidate.content_id)
        if card is None or card.creator_id in creators or not viewer.accepts(card) or not _fits(request, card):
            continue
        creators.add(card.creator_id)
        items.append((candidate, card))
        if len(items) == request.count:
            break
    level = items[0][0].source if items else "latest"
    return SimilarPage(seed.content_id, tuple(items), level, stock.snapshot.version if stock else "")


def _candidates(
    request: SimilarRequest, seed: ContentCard, viewer: Viewer, stock: Stock | None, now: datetime
) -> Iterator[Candidate]:
    if stock is None or len(stock.shelf) == 0:
        yield from (Candidate(each, "latest") for each in queries.newest_contents(MOST_CHECKED, viewer.audience))
        return
    shelf = stock.shelf
    allowed = viewer.may_see(stock) & _asked_for(request, stock, now)
    row = shelf.row_of.get(seed.content_id, UNKNOWN)
    if row >= 0:
        found = alike(shelf, row, _DEPTH, allowed)
        for near, score, cosine, behaviour in zip(
            found.rows, found.score.tolist(), found.cosine.tolist(), found.behaviour.tolist(), strict=True
        ):
            yield Candidate(shelf.content_id[near], "similar", score, cosine, behaviour)
    # The card knows the category of today, the snapshot may not know the content at all.
    of_kind = codes_of(stock.snapshot.categories, [seed.category])
    for category, source in ((int(of_kind[0]), "category") if len(of_kind) else (None, ""), (UNKNOWN, "latest")):
        if category is not None:
            for near in of_same_kind(shelf, category, _DEPTH, allowed):
                yield Candidate(shelf.content_id[near], source)


def _asked_for(request: SimilarRequest, stock: Stock, now: datetime) -> Mask:
    """Rows of the categories and languages asked for, for which the filter may hold."""
    snapshot = stock.snapshot
    asked = np.ones(len(snapshot), np.bool_)
    if request.categories:
        asked &= np.isin(snapshot.category, codes_of(snapshot.categories, request.categories))
    if request.filter:
        asked &= parse_filter(request.filter).mask(SnapshotTable(snapshot, now.timestamp()))
    if request.languages:
        spoken = [code for code, tag in enumerate(snapshot.languages) if primary(tag) in request.languages]
        asked &= np.isin(snapshot.language, spoken)
    return asked


def _fits(request: SimilarRequest, card: ContentCard) -> bool:
    """The same by what the database says now."""
    return (not request.categories or card.category in request.categories) and (
        not request.languages or primary(card.language) in request.languages
    )


def primary(language: str) -> str:
    """The language of a language tag, without script and region."""
    return language.partition("-")[0].lower()


def _unique(candidates: Iterable[Candidate], *, without: set[str]) -> Iterator[Candidate]:
    taken = set(without)
    for each in candidates:
        if each.content_id not in taken:
            taken.add(each.content_id)
            yield each
