"""What is hot: contents, creators and tags of the last hour, day or week; and which categories there are.

    1h          what rises against its own past (`features.trends`), then by the counters of the last hour
    24h, 7d     engaged people by the counters of that half-life, long views + likes + 2 (shares + saves + comments)
                - 5 (hides + reports)

The counters belong to contents, so creators and tags are sums over their contents; those of tags over the
`TAGGED` contents with the most engagement, whose tags are read from the database.

Counted is now and then, but nothing is listed that has no content to be shown at this moment: the database is asked.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from events.cleaning.audience import Audience
from events.figures import active_by_category
from events.offered import offered_creators, offered_tags
from events.queries import ContentCard, eligible_cards
from features import trends
from features.extraction.snapshot import engagement
from features.trend_counts import tag_name
from ranking.candidates.filters import codes_of
from ranking.shelves import Stock, current_stock

Kind = Literal["content", "creator", "tag"]
KINDS: Final[tuple[Kind, ...]] = ("content", "creator", "tag")
HALF_LIFE: Final = {"1h": "1h", "24h": "1d", "7d": "7d"}
"""Window of a request to the half-life of the counters that answer it."""
MAX_HOT: Final = 50
TAGGED: Final = 500
_SPARE: Final = 3
"""Candidates per item asked for, as some may have been withdrawn since they were counted."""


@dataclass(frozen=True, slots=True)
class HotRequest:
    """What kind of thing, over which window; `category` "" for all, `country` "" where nobody knows.

    A country leaves out what may not be shown there, and everything limited to some stays away without one. What
    people of one country do is not counted apart.
    """

    kind: Kind = "content"
    window: str = "24h"
    category: str = ""
    country: str = ""
    count: int = 10


@dataclass(frozen=True, slots=True)
class HotThing:
    """One content, creator or tag.

    Attributes
    ----------
    source : "rising" against its own past, or "counted"
    score : robust standard deviations above what was expected where it rises, else engaged people, lately more; scores
        compare within a source, and what rises comes first
    content : of a content, else None
    """

    name: str
    source: str
    score: float
    content: ContentCard | None = None


@dataclass(frozen=True, slots=True)
class Hot:
    """What is hot, hottest first. `as_of` is the moment of the counters; None where there are none yet."""

    items: tuple[HotThing, ...]
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class Categories:
    """Categories with their active contents, largest first. `as_of` None means at this moment."""

    items: tuple[tuple[str, int], ...]
    as_of: datetime | None


def hot(request: HotRequest) -> Hot:
    """Answer a list; at most three queries."""
    stock = current_stock()
    counted = _Counted(stock, request) if stock is not None and len(stock.shelf) else None
    found = _contents(request, counted) if request.kind == "content" else _groups(request, counted)
    things: dict[str, HotThing] = {}
    for thing in found:
        things.setdefault(thing.name, thing)
    return Hot(tuple(things.values())[: request.count], None if stock is None else _moment(stock))


def categories() -> Categories:
    """Every category of the catalogue; from the snapshot, or from the database while there is none."""
    stock = current_stock()
    if stock is None:
        counted, as_of = active_by_category(), None
    else:
        snapshot, as_of = stock.snapshot, _moment(stock)
        known = snapshot.category[snapshot.active & (snapshot.category >= 0)]
        sizes = np.bincount(known, minlength=len(snapshot.categories)).tolist()
        counted = {str(name): size for name, size in zip(snapshot.categories, sizes, strict=True) if size}
    return Categories(tuple(sorted(counted.items(), key=lambda each: (-each[1], each[0]))), as_of)


class _Counted:
    """Engagement of the contents that count for a request."""

    def __init__(self, stock: Stock, request: HotRequest) -> None:
        self.snapshot, self.shelf = stock.snapshot, stock.shelf
        counts = self.shelf.active.copy()
        if request.category:
            counts &= np.isin(self.snapshot.category, codes_of(self.snapshot.categories, [request.category]))
        score = engagement(self.snapshot.counters, HALF_LIFE[request.window])
        self.score: NDArray[np.float32] = np.where(counts, score, 0.0).astype(np.float32)

    def contents(self, most: int) -> Iterator[tuple[str, float]]:
        """Ids and scores of the contents with any engagement, best first."""
        for row in _best(self.score, most):
            yield str(self.snapshot.content_id[row]), float(self.score[row])

    def creators(self, most: int) -> Iterator[tuple[str, float]]:
        """The same of creators."""
        known = self.snapshot.creator >= 0
        total = np.bincount(
            self.snapshot.creator[known], weights=self.score[known], minlength=len(self.snapshot.creators)
        )
        for code in _best(total, most):
            yield str(self.snapshot.creators[code]), float(total[code])


def _contents(request: HotRequest, counted: _Counted | None) -> Iterator[HotThing]:
    wanted = request.count * _SPARE
    candidates = [("rising", each.name, each.z) for each in _rising(request, trends.MOST_WATCHED)]
    if counted is not None:
        candidates += [("counted", name, score) for name, score in counted.contents(wanted)]
    cards = eligible_cards({name for _, name, _ in candidates}, Audience(country=request.country))
    for source, name, score in candidates:
        card = cards.get(name)
        if card is not None and (not request.category or card.category == request.category):
            yield HotThing(name, source, score, card)


def _groups(request: HotRequest, counted: _Counted | None) -> Iterator[HotThing]:
    wanted, audience = request.count * _SPARE, Audience(country=request.country)
    # Nobody counted how a creator or tag went within one category.
    rising = [] if request.category else [HotThing(each.name, "rising", each.z) for each in _rising(request, wanted)]
    if request.kind == "tag":
        # These are of contents that may be shown, and spelled as uploaded; rising tags are without signs and capitals.
        known = [] if counted is None else list(_tags(counted, request.country))
        shown = offered_tags({each.name for each in rising}, audience) | {tag_name(name) for name, _ in known}
        yield from (each for each in rising if each.name in shown)
        yield from (HotThing(name, "counted", score) for name, score in known)
        return
    found = [] if counted is None else [HotThing(name, "counted", score) for name, score in counted.creators(wanted)]
    shown = offered_creators({each.name for each in rising + found}, audience, category=request.category)
    yield from (each for each in rising + found if each.name in shown)


def _tags(counted: _Counted, country: str) -> Iterator[tuple[str, float]]:
    scores = dict(counted.contents(TAGGED))
    total: dict[str, float] = {}
    for content_id, card in eligible_cards(scores, Audience(country=country)).items():
        for tag in set(card.tags):
            total[tag] = total.get(tag, 0.0) + scores[content_id]
    yield from sorted(total.items(), key=lambda each: (-each[1], each[0]))


def _rising(request: HotRequest, most: int) -> list[trends.CurrentTrend]:
    return trends.current(request.kind, most) if request.window == "1h" else []


def _best(score: NDArray[Any], most: int) -> NDArray[np.int64]:
    """Indices of the largest positive scores, best first."""
    found = np.flatnonzero(score > 0.0)
    return found[np.argsort(-score[found], kind="stable")][:most].astype(np.int64)


def _moment(stock: Stock) -> datetime | None:
    until = stock.snapshot.until
    return datetime.fromtimestamp(until, UTC) if np.isfinite(until) and until > 0 else None
