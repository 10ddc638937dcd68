"""One For You page: hydrate the user, run the pipeline, check the result against the database, log what was served.

Levels, best first: `ranked` (trained model), `light` (session signals without a model), `trending`, and `latest`, which
needs nothing but the database. Whatever breaks, the next level answers, and the answer names it.

Queries per page: the user's history and profile, what was just served to them, eligibility and cards of the shortlist,
the log of the page; at most once a second each the champion's pointer and the trends. Only a page whose whole shortlist
turns out to be withdrawn asks a second time.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import numpy as np

from events.columnar.history import History
from events.queries import ContentCard, eligible_cards, newest_contents, recent_history
from features import profiles
from features.extraction import Profile
from ranking import queries, telemetry
from ranking.candidates.content_based import ContentBased
from ranking.candidates.filters import Active, NotRefused, Unseen
from ranking.candidates.fresh import Fresh
from ranking.candidates.popular import Popular
from ranking.candidates.sequential import Sequential
from ranking.candidates.trending import Trending
from ranking.models import Served
from ranking.pipeline.pending import Pending, pending
from ranking.pipeline.run import Account, Pipeline, run
from ranking.pipeline.shelf import SessionTaste, Shelf, refused, seen_rows, session_taste
from ranking.pipeline.stages import FeedQuery, Ids, Ranker
from ranking.registry import champion
from ranking.rerank.assembly import Assemble
from ranking.rerank.calibration import Calibration
from ranking.rerank.diversity import Diversity
from ranking.rerank.hybrid import LightRanker, ModelRanker
from ranking.rerank.mix import Mix
from ranking.rerank.thompson import Thompson
from ranking.shelves import Stock, current_stock, ranker_features, served_features, taste_vector, trending_rows

logger = logging.getLogger(__name__)

MAX_ITEMS = 50
DEFAULT_ARM = "default"
WAITING_FOR = timedelta(minutes=30)
"""A delivered page that was not watched within this is forgotten by its client."""
SPARE = 10
"""Shortlisted beyond the page, so that it stays full when the database withdraws some of it."""
LATEST_DEPTH = 300


@dataclass(frozen=True, slots=True)
class FeedRequest:
    """Who asks for how much; `exclude` are content ids the caller does not want."""

    user_id: str
    limit: int = 10
    surface: str = "for_you"
    exclude: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_ITEMS:
            raise ValueError(f"limit must lie in 1..{MAX_ITEMS}, got {self.limit}")


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One position of a page and why it is there. `propensity` is the chance that this policy shows it there."""

    content_id: str
    position: int
    source: str
    sources: tuple[str, ...]
    score: float
    propensity: float
    model_version: str
    content: ContentCard


@dataclass(frozen=True, slots=True)
class Feed:
    """One answered page. `account` says what happened on the way."""

    request_id: UUID
    items: tuple[FeedItem, ...]
    model_version: str
    fallback_level: str
    repeats: bool
    has_more: bool
    account: Account


@dataclass(frozen=True, slots=True)
class Person:
    """What one request knows of its user. `withheld` must not appear on this page, whatever happens."""

    history: History
    profile: Profile
    last_met: dict[str, float]
    withheld: frozenset[str]
    pending: Pending


@dataclass(frozen=True, slots=True)
class Pick:
    """A shortlisted content, before its eligibility is known."""

    content_id: str
    source: str
    sources: tuple[str, ...]
    score: float = 0.0
    propensity: float = 1.0
    again: bool = False


@dataclass(frozen=True, slots=True)
class Shortlist:
    """Contents in the order to show them, as one level found them."""

    picks: list[Pick]
    level: str
    version: str
    account: Account = field(default_factory=Account)


def build_feed(request: FeedRequest, *, now: datetime, request_id: UUID | None = None) -> Feed:
    """Answer one page and log it.

    `request_id` is made here unless given; it also seeds exploration, so the same id and data give the same page.

    Raises only when the database fails: without it nobody can say what may be shown.
    """
    start = time.perf_counter()
    request_id = request_id or uuid4()
    person = _hydrate(request, now=now)
    stock = current_stock()
    shortlist = _shortlist(request, person, stock, seed=request_id.int & (2**63 - 1), now=now)
    picks, cards = _eligible(shortlist, request.limit)
    if not picks and shortlist.level != "latest":
        shortlist = _latest(person, account=shortlist.account)
        picks, cards = _eligible(shortlist, request.limit)
    items = tuple(
        FeedItem(
            pick.content_id, position, pick.source, pick.sources, pick.score, pick.propensity, shortlist.version,
            cards[pick.content_id],
        )
        for position, pick in enumerate(picks)
    )  # fmt: skip
    repeats = any(pick.again for pick in picks)
    feed = Feed(
        request_id, items, shortlist.version, shortlist.level, repeats, len(items) == request.limit, shortlist.account
    )
    _log_served(feed, request, person, stock, now=now)
    for stage, error in feed.account.failures:
        logger.warning("feed %s: %s broke: %s", request_id, stage, error)
    seconds = time.perf_counter() - start
    telemetry.record(feed.account, level=feed.fallback_level, items=len(items), repeats=repeats, seconds=seconds)
    return feed


def for_you(
    stock: Stock, taste: SessionTaste, *, ranker: Ranker | None, light: LightRanker, refused_rows: Ids
) -> Pipeline:
    """The default pipeline. An experiment arm is another literal like this one."""
    shelf = stock.shelf
    return Pipeline(
        sources=[
            (Sequential(shelf, taste), 150),
            (ContentBased(shelf), 150),
            (Popular(shelf), 100),
            (Trending(shelf, trending_rows(shelf)), 50),
            (Fresh(shelf), 50),
        ],
        filters=[Active(shelf), NotRefused(refused_rows), Unseen()],
        ranker=ranker,
        light_ranker=light,
        trending=Popular(shelf),
        rerankers=[
            Assemble([Diversity(shelf), Calibration(shelf, taste.positives)]),
            Mix(shelf, taste.evidence),
            Thompson([stock.belief], stock.new),
        ],
    )


def _hydrate(request: FeedRequest, *, now: datetime) -> Person:
    history = recent_history(request.user_id)
    last_met = dict(zip(history.content_id, history.timestamp.tolist(), strict=True))
    served = queries.recently_served(request.user_id, since=now - WAITING_FOR, until=now)
    profile = profiles.read(request.user_id)
    return Person(history, profile, last_met, frozenset(refused(history)) | request.exclude, pending(served, last_met))


def _shortlist(request: FeedRequest, person: Person, stock: Stock | None, *, seed: int, now: datetime) -> Shortlist:
    """Ranked new contents first, then whatever else fills the page; the latest uploads when there is no snapshot."""
    if stock is None or len(stock.shelf) == 0:
        return _latest(person, account=Account())
    shelf = stock.shelf
    met = seen_rows(shelf.rows(person.history.content_id))
    waiting = _known_rows(shelf, person.pending.waiting)
    query = FeedQuery(
        user_id=request.user_id,
        now=now,
        history=person.history,
        seen=np.union1d(met, waiting),
        user_vector=taste_vector(person.history, stock),
        surface=request.surface,
        arm=DEFAULT_ARM,
        size=min(request.limit + SPARE, len(shelf)),
        seed=seed,
    )
    taste = session_taste(person.history, shelf)
    light = LightRanker(shelf, taste, _known_rows(shelf, person.pending.passed_over))
    model = champion()
    candidates = ranker_features(person.history, stock, now=now, profile=person.profile, surface=request.surface)
    ranker = None if model is None else ModelRanker(model, candidates, light)
    refused_rows = _known_rows(shelf, person.withheld)
    pipeline = for_you(stock, taste, ranker=ranker, light=light, refused_rows=refused_rows)
    result = run(query, pipeline, catalogue_size=len(shelf), timer=time.perf_counter)
    picks = [
        Pick(
            shelf.content_id[row],
            result.proposals.primary_name(place),
            tuple(result.proposals.source_names(place)),
            float(result.scores[place]),
            float(result.propensity[place]),
        )
        for place, row in enumerate(result.proposals.rows[: query.size])
    ]
    if len(picks) < query.size:
        picks += _refill(shelf, query.size, picks, met=met, waiting=waiting, refused_rows=refused_rows)
    return Shortlist(picks, result.level, result.version, result.account)


def _refill(shelf: Shelf, size: int, picks: list[Pick], *, met: Ids, waiting: Ids, refused_rows: Ids) -> list[Pick]:
    """What fills a page that the sources could not: unseen contents nobody proposed, then the least recently seen.

    What still waits in the client comes last of all, and only because an empty feed would be worse.
    """
    chosen = np.array([shelf.row_of[pick.content_id] for pick in picks], np.int64)
    shown = np.concatenate([met, waiting])
    newest = shelf.newest[~np.isin(shelf.newest, np.concatenate([chosen, shown, refused_rows]))]
    again = np.concatenate([met[~np.isin(met, waiting)], waiting])
    again = again[shelf.active[again] & ~np.isin(again, refused_rows)]
    wanted = size - len(picks)
    found = [Pick(shelf.content_id[row], "latest", ("latest",)) for row in newest[:wanted]]
    found += [Pick(shelf.content_id[row], "seen_again", ("seen_again",), again=True) for row in again[:wanted]]
    return found[:wanted]


def _latest(person: Person, *, account: Account) -> Shortlist:
    """Newest uploads straight from the database: new ones first, then the least recently met, then what waits."""

    def place(content_id: str) -> tuple[bool, float]:
        return content_id in person.pending.waiting, person.last_met.get(content_id, float("-inf"))

    newest = [each for each in newest_contents(LATEST_DEPTH) if each not in person.withheld]
    picks = [
        Pick(each, "latest", ("latest",), again=place(each) > (False, float("-inf")))
        for each in sorted(newest, key=place)
    ]
    return Shortlist(picks, "latest", "latest", account)


def _eligible(shortlist: Shortlist, limit: int) -> tuple[list[Pick], dict[str, ContentCard]]:
    """The first `limit` picks that may be shown at this moment, with their cards; one query.

    Withdrawing a content moves the ones behind it up, while their propensities stay those of the shortlist: the
    policy's choice did not depend on what the database withdrew.
    """
    cards = eligible_cards([pick.content_id for pick in shortlist.picks[: limit + SPARE]]) if shortlist.picks else {}
    return [pick for pick in shortlist.picks if pick.content_id in cards][:limit], cards


def _known_rows(shelf: Shelf, content_ids: Iterable[str]) -> Ids:
    rows = (shelf.row_of.get(each) for each in sorted(content_ids))
    return np.array([row for row in rows if row is not None], np.int64)


def _log_served(feed: Feed, request: FeedRequest, person: Person, stock: Stock | None, *, now: datetime) -> None:
    """Keep the page with what the ranker saw of it, in one insert."""
    seen = served_features(
        [item.content_id for item in feed.items], person.history, stock, now=now, profile=person.profile,
        surface=request.surface,
    )  # fmt: skip
    Served.objects.bulk_create(
        Served(
            request_id=feed.request_id,
            position=item.position,
            user_id=request.user_id,
            content_id=item.content_id,
            source=item.source,
            sources=list(item.sources),
            model_version=item.model_version,
            surface=request.surface,
            arm=DEFAULT_ARM,
            score=item.score,
            propensity=item.propensity,
            feature_set=seen.feature_set if item.content_id in seen.rows else "",
            features=seen.rows.get(item.content_id, b""),
            counted_until=seen.counted_until if item.content_id in seen.rows else None,
            served_at=now,
        )
        for item in feed.items
    )
