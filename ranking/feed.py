"""One page of a feed: hydrate the user, run the pipeline, check the result against the database, log what was served.

Levels, best first: `ranked` (trained model), `light` (session signals without a model), `trending`, and `latest`, which
needs nothing but the database. Whatever breaks or takes too long, the next level answers, and the answer names it.

Pages of one user are made one after another, under a lock of the database, so that two devices never get the same
contents. A page that a cursor led to before is not made again: it is read from the log, less what may not be shown any
more.

Queries per page: all about the user and which model serves; eligibility and cards of the shortlist; the log of the
page; at most once a second the trends. Only a page whose shortlist is withdrawn in large part asks again, and one that
explains itself asks for captions.
"""

import logging
import math
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from uuid import UUID, uuid4

import numpy as np
from django.conf import settings
from django.db import transaction

from events.cleaning.audience import audience_of
from events.cleaning.preferences import read_preferences
from events.columnar.history import History
from events.errors import InvalidRequest
from events.queries import content_cards, eligible_cards
from events.user_past import UserPast
from features import profiles
from features.extraction.profile import Profile
from ranking import assignment, cursors, queries, telemetry
from ranking.assignment import Placement
from ranking.cursors import Cursor
from ranking.explain import explain
from ranking.feed_context import zone_in
from ranking.feed_request import MAX_ITEMS, SURFACES, Feed, FeedItem, FeedRequest
from ranking.finders import stock_with
from ranking.model_files import Pointer
from ranking.pipeline.memory import remember
from ranking.pipeline.run import Account
from ranking.pipeline.shelf import followed, refused
from ranking.served_log import log_page
from ranking.serving_models import serving_of
from ranking.shelves import RankerFeatures, Stock, current_stock, trending_rows
from ranking.shortlist import SEEN_AGAIN, Person, Pick, Supplies, select

__all__ = ["MAX_ITEMS", "SURFACES", "Feed", "FeedItem", "FeedRequest", "build_feed"]

logger = logging.getLogger(__name__)

_FALLBACKS = frozenset({"light", "trending", "latest"})
"""Levels whose model version is their own name; a trained model has another."""


def build_feed(request: FeedRequest, *, now: datetime, request_id: UUID | None = None) -> Feed:
    """Answer one page and log it.

    `request_id` is made here unless given, and follows from the cursor where there is one; it also seeds exploration,
    so the same id and data give the same page.

    Raises
    ------
    InvalidRequest
        The cursor does not hold, or the seed content does not exist.
    Error
        Of the database: without it nobody can say what may be shown.
    """
    start = time.perf_counter()
    binding = cursors.binding_of(request.user_id, request.walk_parameters)
    if request.cursor is None:
        place = Cursor(request_id or uuid4(), 0, binding, request.stated)
    else:
        place = cursors.read(request.cursor, binding=binding, now=now)
    # Before the user's lock is taken: a new snapshot takes its time to load.
    stock = current_stock()
    with transaction.atomic(savepoint=False):
        since = now - timedelta(days=settings.FEED_SEEN_DAYS)
        page, walk = (None, None) if request.cursor is None else (place.request_id, place.walk)
        past, memory = queries.feed_start(request.user_id, page=page, walk=walk, since=since)
        memory = memory.since(past.begins)
        if request.cursor is not None and not memory.walked:
            # Merged into another user, reset, or forgotten: the page's id may be in the log under another name.
            message = "cursor is of a walk that this user does not have any more; ask without one to start anew"
            raise InvalidRequest(message, code="cursor_expired", field="cursor")
        person = replace(_person(request, past, memory, now=now), recent=place.recall(memory.walked))
        placed = assignment.place(request, memory.experiments)
        if memory.delivered:
            feed = replace(_replay(memory.delivered, request, person, place), experiments=placed.arms)
        else:
            deadline = start + settings.FEED_BUDGET_MS / 1000.0
            supplies = _supplies(stock, memory.champion, placed)
            feed = _make(request, person, supplies, place, placed, now=now, deadline=deadline)
    _report(feed, start)
    return feed


def preview(request: FeedRequest, *, now: datetime) -> Feed:
    """The page that a user would get at this moment, explained; nothing is logged, so that it comes again.

    Raises as `build_feed` does. A cursor is not looked at: the page is the first of a walk.
    """
    place, stock = Cursor(uuid4(), 0, ""), current_stock()
    with transaction.atomic(savepoint=False):
        since = now - timedelta(days=settings.FEED_SEEN_DAYS)
        past, memory = queries.feed_start(request.user_id, page=None, walk=None, since=since)
    memory = memory.since(past.begins)
    person = _person(request, past, memory, now=now)
    placed = assignment.place(request, memory.experiments)
    explained = replace(request, explain=True, cursor=None)
    supplies = _supplies(stock, memory.champion, placed)
    return _make(explained, person, supplies, place, placed, now=now, deadline=math.inf, logged=False)


def _report(feed: Feed, start: float) -> None:
    for stage, error in feed.account.failures:
        logger.warning("feed %s: %s broke: %s", feed.request_id, stage, error)
    seconds = time.perf_counter() - start
    telemetry.record(
        feed.account, level=feed.fallback_level, items=len(feed.items), repeats=feed.repeats, seconds=seconds
    )


def _supplies(stock: Stock | None, pointer: Pointer | None, placed: Placement) -> Supplies:
    if stock is None or len(stock.shelf) == 0:
        return Supplies(None, None, np.empty(0, np.int64), placed.config)
    model = placed.serving(serving_of(pointer))
    return Supplies(stock_with(stock, model), model, trending_rows(stock.shelf), placed.config, placed.label)


def _person(request: FeedRequest, past: UserPast, memory: queries.FeedMemory, *, now: datetime) -> Person:
    # Whom a user follows and what they refused outlives a reset, see `forgetting`.
    everything, stated = past.history, read_preferences(past.preferences)
    history = everything.since(past.begins)
    profiling = request.profiling and stated.profiling
    older = {each: at for each, at in past.older.items() if at >= past.begins}
    met = {**older, **dict(zip(history.content_id.tolist(), history.timestamp.tolist(), strict=True))}
    met.pop("", None)
    if not profiling:
        # That a page was looked at is part of the page's own memory; what was met elsewhere is behaviour.
        met = {each: at for each, at in met.items() if each in memory.served}
    creators, follows = None, frozenset(followed(everything, past.follows))
    if request.surface == "following":
        creators = follows
    elif request.surface == "creator":
        creators = frozenset({request.creator_id or ""})
    withheld = frozenset(refused(everything)) | request.exclude
    if request.seed_content_id is not None:
        withheld |= {request.seed_content_id}
    profile = profiles.from_documents(past.demographics, past.preferences)
    clock = zone_in(request.context)
    return Person(
        history=history if profiling else History.empty(),
        profile=_by_clock(profile if profiling else profiles.stranger(), clock),
        audience=audience_of(
            past.demographics,
            past.preferences,
            now=now,
            languages=request.languages,
            country=request.country or request.context.get("country", ""),
        ),
        memory=remember(met, memory.served, walked=memory.walked),
        withheld=withheld,
        creators=creators,
        follows=follows if profiling else frozenset(),
    )


def _by_clock(profile: Profile, clock: tzinfo | None) -> Profile:
    """The profile with the clock that the request names, if it names one."""
    return profile if clock is None else replace(profile, zone=clock)


def _make(
    request: FeedRequest,
    person: Person,
    supplies: Supplies,
    place: Cursor,
    placed: Placement,
    *,
    now: datetime,
    deadline: float,
    logged: bool = True,
) -> Feed:
    """A new page."""
    if request.cursor is None and request.seed_content_id is not None:
        _check_seed(request.seed_content_id)
    seed = place.request_id.int & (2**63 - 1)
    features = RankerFeatures(person.history, supplies.stock, now=now, profile=person.profile, surface=request.surface)
    found, chosen = select(request, person, supplies, features, seed=seed, now=now, deadline=deadline)
    picks, cards = chosen.picks, chosen.cards
    reasons = explain(picks, supplies.stock, found.positives, request, person) if request.explain else {}
    items = tuple(
        FeedItem(
            pick.content_id, position, pick.source, pick.sources, pick.score, pick.propensity, found.version,
            cards[pick.content_id], reasons.get(pick.content_id),
        )
        for position, pick in enumerate(picks)
    )  # fmt: skip
    has_more = bool(items) and chosen.more
    feed = Feed(
        request_id=place.request_id,
        items=items,
        model_version=found.version,
        fallback_level=found.level,
        repeats=any(pick.source == SEEN_AGAIN for pick in picks),
        has_more=has_more,
        account=found.account,
        next_cursor=cursors.sign(place.after(pick.content_id for pick in picks), served_at=now) if has_more else None,
        expires_at=cursors.end_of(now) if has_more else None,
        experiments=placed.arms,
    )
    if logged:
        seen = features.served([item.content_id for item in items])
        # Without a snapshot no arm could act.
        exposures = placed.exposures if supplies.stock is not None else ()
        log_page(
            feed, request, seen, walk_id=place.walk, arm=placed.label, config=supplies.config.version, now=now,
            exposures=exposures,
        )  # fmt: skip
    return feed


def _check_seed(content_id: str) -> None:
    """At the beginning of a walk only: a seed that is withdrawn later does not end it."""
    seed = content_cards([content_id]).get(content_id)
    if seed is None or not seed.is_shown:
        message = f"there is no content with the id {content_id[:80]!a}"
        raise InvalidRequest(message, code="unknown_content", field="seed_content_id")


def _replay(delivered: tuple[queries.DeliveredRow, ...], request: FeedRequest, person: Person, place: Cursor) -> Feed:
    """A page as it was delivered, without what may not be shown any more; positions stay as they were."""
    wanted = [row for row in delivered if row.content_id not in person.withheld]
    cards = eligible_cards([row.content_id for row in wanted], person.audience)
    kept = [row for row in wanted if row.content_id in cards]
    # What re-ranking moved is not logged, so a retried page explains itself by its sources alone.
    picks = [Pick(row.content_id, row.source, row.sources, row.score, row.propensity) for row in kept]
    reasons = explain(picks, None, np.empty(0, np.int64), request, person) if request.explain else {}
    version = delivered[0].model_version
    has_more = not delivered[0].ends_walk
    served_at = datetime.fromtimestamp(delivered[0].served_at, tz=UTC)
    return Feed(
        request_id=place.request_id,
        items=tuple(
            FeedItem(
                row.content_id, row.position, row.source, row.sources, row.score, row.propensity, version,
                cards[row.content_id], reasons.get(row.content_id),
            )
            for row in kept
        ),
        model_version=version,
        fallback_level=version if version in _FALLBACKS else "ranked",
        repeats=any(row.source == SEEN_AGAIN for row in kept),
        has_more=has_more,
        account=Account(),
        next_cursor=cursors.sign(place.after(row.content_id for row in delivered), served_at=served_at)
        if has_more
        else None,
        expires_at=cursors.end_of(served_at) if has_more else None,
        replayed=True,
    )  # fmt: skip
