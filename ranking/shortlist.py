"""From a request to contents in the order to show them, and from those to the ones that may be shown right now."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain, islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from events.cleaning.audience import Audience, primary
from events.columnar.history import History
from events.queries import ContentCard, eligible_cards
from features.extraction import Profile
from features.looks import newest_looks
from ranking.candidates.expressions import parse_boosts, parse_filter
from ranking.feed_config import USUAL, FeedConfig
from ranking.feed_request import NO_FIGURES, FeedRequest, Figures
from ranking.pipeline.memory import Memory
from ranking.pipeline.moves import Move
from ranking.pipeline.run import Account, Run, run
from ranking.pipeline.shelf import UNKNOWN, SessionTaste, Shelf, session_taste
from ranking.pipeline.stages import FeedQuery, Ids, Mask, Ranker, Vector
from ranking.ranker.valued import ValuedModel
from ranking.rerank.boosted import Boosted
from ranking.rerank.hybrid import LightRanker, ModelRanker
from ranking.shelves import RankerFeatures, Stock
from ranking.surfaces import PIPELINES, Desk
from ranking.tables import SnapshotTable, passing

DEFAULT_ARM: Final = "default"
SPARE: Final = 10
"""Shortlisted beyond the page, so that it stays full when the database withdraws some of it."""
CHECKS: Final = (1, 4, 16)
"""Contents asked for per check, as multiples of page and spare: the first is enough unless much was withdrawn."""
ENOUGH_PAGES: Final = 2
"""With fewer pages than this that were never delivered, what waits is released. One page would be no choice at all: of
96 clips, somebody who fetched 80 and watched one family of 24 would get the 16 that rank last, hardly one of them of
that family (0 to 10 % of the page; 70 to 90 % with two)."""
LATEST_DEPTH: Final = 300
SEED_WORTH: Final = 1.0
SEED_EVIDENCE: Final = 0.6
"""A seed content counts as much as three clips watched to their end; see `SessionTaste`."""
SEEN_AGAIN: Final = "seen_again"


@dataclass(frozen=True, slots=True)
class Person:
    """What one request knows of its user.

    Attributes
    ----------
    history, profile : what may choose for the user; empty without profiling
    audience : what may be shown to the user
    memory : what must not come again yet
    withheld : content ids that must not appear on this page, whatever happens
    creators : whose contents alone are wanted; None for anybody's
    follows : creators that the user follows; empty without profiling
    recent : content ids of the walk's last positions before the page, oldest first; "" for one that is not known
    """

    history: History
    profile: Profile
    audience: Audience
    memory: Memory
    withheld: frozenset[str]
    creators: frozenset[str] | None
    follows: frozenset[str] = frozenset()
    recent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Supplies:
    """What all requests of a moment share."""

    stock: Stock | None
    model: ValuedModel | None
    rising: Ids
    config: FeedConfig = USUAL
    arm: str = DEFAULT_ARM


@dataclass(frozen=True, slots=True)
class Pick:
    """A shortlisted content, before its eligibility is known; contents of one `look` are copies, negative: none."""

    content_id: str
    source: str
    sources: tuple[str, ...]
    score: float = 0.0
    propensity: float = 1.0
    ranks: Mapping[str, int] = field(default_factory=dict)
    moves: tuple[Move, ...] = ()
    figures: Figures = NO_FIGURES
    look: int = UNKNOWN


@dataclass(frozen=True, slots=True)
class Shortlist:
    """Contents in the order to show them, as one level found them.

    Attributes
    ----------
    released : whether what waits (see `memory`) competes
    positives : rows the user liked, oldest first
    """

    picks: Iterator[Pick]
    level: str
    version: str
    released: bool = False
    account: Account = field(default_factory=Account)
    positives: Ids = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class Chosen:
    """What may be shown, in order, with cards; `more`: whether another page of the walk would hold anything."""

    picks: list[Pick]
    cards: dict[str, ContentCard]
    more: bool


def select(
    request: FeedRequest,
    person: Person,
    supplies: Supplies,
    features: RankerFeatures,
    *,
    seed: int,
    now: datetime,
    deadline: float,
) -> tuple[Shortlist, Chosen]:
    """The shortlist of the best level that has anything to show, and what of it is shown.

    The snapshot tells how much was never delivered, and so whether what waits is released; but it does not know whom
    age and country exclude. Where the database leaves less than a page, the list is made again with what waits.
    """

    def attempt(*, release: bool) -> tuple[Shortlist, Chosen]:
        found = shortlist(request, person, supplies, features, release=release, seed=seed, now=now, deadline=deadline)
        return found, choose(found, request, person, now=now)

    found, chosen = attempt(release=False)
    new = sum(pick.source != SEEN_AGAIN for pick in chosen.picks)
    if new < request.limit and person.memory.waiting and not found.released:
        found, chosen = attempt(release=True)
    if not chosen.picks and found.level != "latest":
        # It has a rule of its own for what waits: a snapshot of which nothing is left says nothing about the catalogue.
        found = latest(request, person, release=False, account=found.account)
        chosen = choose(found, request, person, now=now)
    return found, chosen


def shortlist(
    request: FeedRequest,
    person: Person,
    supplies: Supplies,
    features: RankerFeatures,
    *,
    release: bool,
    seed: int,
    now: datetime,
    deadline: float,
) -> Shortlist:
    """Ranked new contents first, then whatever else fills the page; the latest uploads when there is no snapshot.

    What waits competes where `release` says so, and where the snapshot has fewer than `ENOUGH_PAGES` of new contents.
    """
    stock = supplies.stock
    if stock is None or len(stock.shelf) == 0:
        return latest(request, person, release=release, account=Account())
    allowed = _allowed(request, person, stock, now)
    shelf = stock.shelf if allowed is None else stock.shelf.only(allowed)
    away = _Away.of(shelf, person)
    release = release or away.left < ENOUGH_PAGES * request.limit
    seen = away.rows(release=release)
    taste, vector = _wish(request, person, stock, features.taste)
    size = min(request.limit + SPARE, len(shelf))
    query = FeedQuery(
        user_id=request.user_id,
        now=now,
        history=person.history,
        seen=seen,
        user_vector=vector,
        surface=request.surface,
        arm=supplies.arm,
        size=size,
        seed=seed,
        spare=max(size - request.limit, 0),
        begins=not person.memory.walked,
    )
    light = LightRanker(shelf, taste, supplies.config.fusion)
    ranker = None if supplies.model is None else ModelRanker(supplies.model, features, light)
    follows = np.array(_known(stock.snapshot.creator_of, person.follows), np.int64)
    recent = shelf.rows(np.array(person.recent, object))
    judges: tuple[Ranker | None, Ranker] = (ranker, light)
    if request.boost:
        added = _added(request, stock, now)
        judges = (None if ranker is None else Boosted(ranker, added), Boosted(light, added))
    pipeline = PIPELINES[request.surface](
        Desk(request, stock, shelf, taste, *judges, away.withheld, supplies.rising, follows, recent, supplies.config)
    )
    result = run(query, pipeline, catalogue_size=len(shelf), timer=time.perf_counter, deadline=deadline)
    level = result.version if result.version in {"latest", "trending"} else result.level
    picks = chain(
        _ranked(result, shelf, explain=request.explain),
        _refill(shelf, set(result.proposals.rows.tolist()), person.memory, seen, away),
    )
    return Shortlist(picks, level, result.version, release, result.account, taste.positives)


def latest(request: FeedRequest, person: Person, *, release: bool, account: Account) -> Shortlist:
    """Newest uploads straight from the database: unseen ones first, then those of the least recent contact.

    Of copies one is shown, and none of what was met.
    """
    seen, waiting = person.memory.seen, person.memory.waiting
    gone = person.withheld | person.memory.walked
    look = newest_looks(LATEST_DEPTH, person.audience)
    met = {code for each, code in look.items() if each in seen or each in gone} - {UNKNOWN}
    newest = [each for each in look if each not in gone]
    fresh = [each for each in newest if each not in seen and look[each] not in met]
    new = [each for each in fresh if each not in waiting]
    release = release or len(new) < ENOUGH_PAGES * request.limit
    again = sorted((each for each in newest if each in seen), key=lambda each: seen[each])
    picks = (Pick(each, "latest", ("latest",)) for each in (fresh if release else new))
    listed = (replace(pick, look=look[pick.content_id]) for pick in chain(picks, map(_again, again)))
    return Shortlist(listed, "latest", "latest", release, account)


def choose(found: Shortlist, request: FeedRequest, person: Person, *, now: datetime) -> Chosen:
    """The first picks that may be shown at this moment, as many as asked for, with their cards.

    One query, unless the database withdraws more than the spare ones: then further picks are checked. Withdrawing a
    content moves the ones behind it up, while their propensities stay those of the shortlist: the policy's choice did
    not depend on what the database withdrew.
    """
    most = request.max_per_creator or request.limit
    shown: Counter[str] = Counter()
    looks: set[int] = set()
    chosen: list[Pick] = []
    cards: dict[str, ContentCard] = {}
    more = not found.released and bool(person.memory.waiting)
    for times in CHECKS:
        # What comes behind the candidates costs a look at the whole catalogue.
        if more and len(chosen) == request.limit:
            break
        picks = list(islice(found.picks, times * (request.limit + SPARE)))
        if not picks or len(chosen) == request.limit:
            more = more or bool(picks)
            break
        eligible = eligible_cards([pick.content_id for pick in picks], person.audience)
        passed = eligible if not request.filter else passing(eligible, request.filter, now)
        for pick in picks:
            card = passed.get(pick.content_id)
            if card is None or not _wanted(card, request, person):
                continue
            if len(chosen) == request.limit:
                more = True
                break
            # Whom the cap keeps off this page, the next one may show.
            more = more or shown[card.creator_id] >= most
            if shown[card.creator_id] < most and pick.look not in looks:
                looks |= {pick.look} - {UNKNOWN}
                shown[card.creator_id] += 1
                cards[pick.content_id] = card
                chosen.append(pick)
    return Chosen(chosen, cards, more)


def known_rows(shelf: Shelf, content_ids: Iterable[str]) -> Ids:
    """Rows of the content ids that the shelf has, in the order given."""
    return np.array([row for row in map(shelf.row_of.get, content_ids) if row is not None], np.int64)


def _wanted(card: ContentCard, request: FeedRequest, person: Person) -> bool:
    """Whether a content is what was asked for, by the database's word: the snapshot may lag behind.

    Nobody needs to be told of their own uploads.
    """
    if request.surface == "for_you" and card.creator_id == request.user_id:
        return False
    return (not request.categories or card.category in request.categories) and (
        person.creators is None or card.creator_id in person.creators
    )


def _added(request: FeedRequest, stock: Stock, now: datetime) -> NDArray[np.float32]:
    """What the request's boosts add to the score of every content."""
    table = SnapshotTable(stock.snapshot, now.timestamp())
    added = np.zeros(table.size, np.float32)
    for boost in parse_boosts(request.boost):
        added[boost.condition.mask(table)] += boost.by
    return added


def _allowed(request: FeedRequest, person: Person, stock: Stock, now: datetime) -> Mask | None:
    """Which rows this request may show, as far as the snapshot knows; None for all."""
    snapshot, audience = stock.snapshot, person.audience
    masks: list[Mask] = []
    if request.filter:
        masks.append(parse_filter(request.filter).mask(SnapshotTable(snapshot, now.timestamp())))
    if request.categories:
        masks.append(np.isin(snapshot.category, _codes(snapshot.categories.tolist(), request.categories)))
    if audience.categories:
        masks.append(~np.isin(snapshot.category, _codes(snapshot.categories.tolist(), audience.categories)))
    if audience.languages:
        spoken = [code for code, name in enumerate(snapshot.languages) if primary(name) in audience.languages]
        masks.append(np.isin(snapshot.language, spoken))
    if person.creators is not None:
        masks.append(np.isin(snapshot.creator, _known(snapshot.creator_of, person.creators)))
    if audience.creators:
        masks.append(~np.isin(snapshot.creator, _known(snapshot.creator_of, audience.creators)))
    return np.logical_and.reduce(masks) if masks else None


def _codes(vocabulary: list[str], wanted: frozenset[str]) -> list[int]:
    return [code for code, name in enumerate(vocabulary) if name in wanted]


def _known(code_of: Mapping[str, int], names: frozenset[str]) -> list[int]:
    return [code_of[name] for name in names if name in code_of]


def _wish(
    request: FeedRequest, person: Person, stock: Stock, vector: Vector | None
) -> tuple[SessionTaste, Vector | None]:
    """The user's taste; with a seed content, as if that one and its category had just been enjoyed a few times."""
    taste = session_taste(person.history, stock.shelf)
    if request.seed_content_id is None:
        return taste, vector
    row = stock.shelf.row_of.get(request.seed_content_id)
    if row is None:
        return taste, vector
    seed = stock.shelf.embedding[row]
    blended = seed if vector is None else seed + 0.5 * vector
    length = float(np.linalg.norm(blended))
    category = taste.category.copy()
    # The last entry is that of an unknown category and stays 0.
    if stock.shelf.category[row] >= 0:
        category[stock.shelf.category[row]] = max(category[stock.shelf.category[row]], SEED_WORTH)
    taste = replace(
        taste,
        category=category,
        positives=np.append(taste.positives, row),
        evidence=max(taste.evidence, SEED_EVIDENCE),
    )
    return taste, (blended / length).astype(np.float32) if length > 0.0 else vector


def _ranked(result: Run, shelf: Shelf, *, explain: bool) -> Iterator[Pick]:
    """The candidates in the order of the pipeline; made one by one, for most are never looked at."""
    proposals = result.proposals
    rows = zip(proposals.rows.tolist(), shelf.look[proposals.rows].tolist(), strict=True)
    worth = zip(result.scores.tolist(), result.propensity.tolist(), strict=True)
    for place, ((row, look), (source, ranks), (score, propensity)) in enumerate(
        zip(rows, proposals.credits(), worth, strict=True)
    ):
        yield Pick(
            shelf.content_id[row],
            source,
            tuple(ranks),
            score,
            propensity,
            ranks if explain else {},
            result.moves(place) if explain else (),
            _figures(result, place) if explain else NO_FIGURES,
            look,
        )


def _figures(result: Run, place: int) -> Figures:
    judged = result.judgement
    if judged is None:
        return NO_FIGURES
    columns = (judged.heads, judged.terms, judged.signals)
    heads, terms, signals = ({name: float(each[place]) for name, each in column.items()} for column in columns)
    return Figures(heads, terms, signals, judged.weights)


@dataclass(frozen=True, slots=True)
class _Away:
    """Rows of a shelf that stay away from one page, by why; `left` counts active rows that are in none of them."""

    seen: Ids
    waiting: Ids
    walked: Ids
    withheld: Ids
    left: int

    @classmethod
    def of(cls, shelf: Shelf, person: Person) -> "_Away":
        memory = person.memory
        seen, waiting, walked, withheld = (
            known_rows(shelf, each) for each in (memory.seen, memory.waiting, memory.walked, person.withheld)
        )
        gone = np.unique(np.concatenate([seen, waiting, walked, withheld]))
        return cls(seen, waiting, walked, withheld, len(shelf.newest) - int(shelf.active[gone].sum()))

    def rows(self, *, release: bool) -> Ids:
        """What sources must not propose, beside the withheld; each row once."""
        return np.concatenate([self.seen, self.walked, *([] if release else [self.waiting])])


def _refill(shelf: Shelf, chosen: set[int], memory: Memory, seen: Ids, away: _Away) -> Iterator[Pick]:
    """What fills a page that the sources could not: contents nobody proposed, then seen ones, oldest contact first."""
    copies = shelf.look[seen]
    known = np.isin(shelf.newest, np.concatenate([seen, away.withheld]))
    known |= np.isin(shelf.look[shelf.newest], copies[copies >= 0])
    for row in shelf.newest[~known]:
        if int(row) not in chosen:
            yield Pick(shelf.content_id[row], "latest", ("latest",), look=int(shelf.look[row]))
    again = away.seen[shelf.active[away.seen] & ~np.isin(away.seen, away.withheld)]
    when = np.array([memory.seen[shelf.content_id[row]] for row in again])
    for row in again[np.argsort(when, kind="stable")]:
        yield replace(_again(shelf.content_id[row]), look=int(shelf.look[row]))


def _again(content_id: str) -> Pick:
    return Pick(content_id, SEEN_AGAIN, (SEEN_AGAIN,))
