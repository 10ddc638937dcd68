"""The feed of one user as staff sees it: the page they would get now, and why each item is on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.urls import reverse

from ranking.feed import preview
from ranking.feed_config import config_of
from ranking.feed_request import Explanation, Feed, FeedItem, FeedRequest
from ranking.pipeline.moves import Move

ITEMS: int = 20


@dataclass(frozen=True, slots=True)
class SourceRow:
    """What one source found for this page: candidates, those nobody else proposed, and milliseconds."""

    name: str
    found: int
    alone: int
    took_ms: float


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One position. `moves` are sentences of what re-ranking did."""

    item: FeedItem
    why: Explanation
    moves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FeedPage:
    """A page that nobody was served; `failures` are stages that broke, with what they said."""

    user_id: str
    feed: Feed
    config: str
    items: tuple[ItemRow, ...]
    sources: tuple[SourceRow, ...]
    dropped: Mapping[str, int]
    failures: tuple[tuple[str, str], ...]


def feed_page(user_id: str, surface: str, *, now: datetime) -> FeedPage:
    """The page; raises InvalidRequest and ValueError as `feed.preview` and `FeedRequest` do."""
    feed = preview(FeedRequest(user_id, ITEMS, surface), now=now)
    account = feed.account
    sources = (
        SourceRow(name, found, account.alone.get(name, 0), 1000.0 * account.seconds.get(name, 0.0))
        for name, found in account.retrieved.items()
    )
    return FeedPage(
        user_id=user_id,
        feed=feed,
        config=config_of(settings.FEED_EXPLORER).version,
        items=tuple(map(_row, feed.items)),
        sources=tuple(sources),
        dropped=account.dropped,
        failures=tuple(account.failures),
    )


def feed_url(user_id: str) -> str:
    """Address of the page."""
    return reverse("admin:ranking_feed_page", query={"id": user_id})


def _row(item: FeedItem) -> ItemRow:
    assert item.explanation is not None, "a preview explains every item"
    return ItemRow(item, item.explanation, tuple(_said(move) for move in item.explanation.moves))


def _said(move: Move) -> str:
    """A move in words, positions from 1.

    >>> _said(Move("mix", 4, 1, "creator_cap"))
    'mix: from 5 to 2, for creator cap'
    """
    why = "" if move.reason is None else f", for {move.reason.replace('_', ' ')}"
    return f"{move.stage.replace('_', ' ')}: from {move.start + 1} to {move.end + 1}{why}"
