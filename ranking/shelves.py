"""The current content snapshot as the pipeline reads it, and the features of its contents for one user.

The only file that joins the feature store to serving. Whatever of it fails is logged and answered with "nothing": the
feed has a level for that.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from django.db import Error as DatabaseError
from numpy.typing import NDArray

from events.columnar.history import History
from features import arrivals, store, trends
from features.extraction.aggregates import smoothed_rate
from features.extraction.assemble import FeatureBlocks, assemble
from features.extraction.content import PRIOR_STRENGTH
from features.extraction.definitions import COUNTER_COLUMN, FEATURE_SET, PRIOR_RATE
from features.extraction.profile import Profile
from features.extraction.snapshot import ContentSnapshot
from features.extraction.user import Recollection, recollect
from ranking.candidates.fresh import RECENT_S
from ranking.pipeline.shelf import Shelf
from ranking.pipeline.stages import Ids, Scores, Vector
from ranking.rerank.posteriors import BetaPosteriors

logger = logging.getLogger(__name__)


NEW_PEOPLE = 100.0
"""Who was met by as many people is known well enough."""
COMPARED = 20_000
"""A millisecond's worth of vectors; see `successors_of`."""
MOST_NEW = 0.2
"""At most so much of the catalogue counts as new: those that the fewest people have met. One position of ten for more
than that would start nothing, and what is new by rank alone would use up the cap on the share of new contents."""


@dataclass(frozen=True, slots=True)
class Due:
    """New contents that fewer people have met than they were promised.

    Attributes
    ----------
    rows : int64 array (k,), fewest people first
    reach : float64 array (k,), sums of how much the first of them need to be shown: 1 / (1 + people) each
    need : float32 array (n,), the same by row of the catalogue; 0 for all others
    """

    rows: Ids
    reach: NDArray[np.float64]
    need: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Stock:
    """One snapshot, its shelf, and what exploration must know of all contents; made once per snapshot.

    Attributes
    ----------
    belief : rates of long views per person, from the week's counters
    new : bool array (n,), which contents exploration counts as new
    newcomers : rows of those, fewest people first, of as many the latest upload
    creator_group : int64 array (n,), 0 where the creator's contents were met by fewer people in the week than those of
        the median creator, 1 where by as many or more, -1 where the creator is unknown
    """

    snapshot: ContentSnapshot
    shelf: Shelf
    belief: BetaPosteriors = field(init=False, repr=False)
    new: NDArray[np.bool_] = field(init=False, repr=False)
    newcomers: Ids = field(init=False, repr=False)
    creator_group: NDArray[np.int64] = field(init=False, repr=False)
    _due: dict[int, Due] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "belief", belief_of(self.snapshot))
        self._know_newcomers()

    def after(self, snapshot: ContentSnapshot, changed: Ids) -> "Stock":
        """The stock after some rows were filled or changed in place; nobody has met what came since."""
        grown = copy(self)
        shelf = self.shelf.after(changed)
        object.__setattr__(grown, "snapshot", snapshot)
        object.__setattr__(grown, "shelf", shelf)
        grown._know_newcomers()
        return grown

    def _know_newcomers(self) -> None:
        rows = newcomers_of(self.snapshot, self.belief)
        new = np.zeros(len(self.snapshot), np.bool_)
        new[rows] = True
        object.__setattr__(self, "new", new)
        object.__setattr__(self, "newcomers", rows)
        # A copy shares what was made of other newcomers.
        object.__setattr__(self, "_due", {})
        object.__setattr__(self, "creator_group", creator_groups(self.snapshot, self.belief))

    def due(self, people: int) -> Due:
        """New contents that fewer than so many people have met; made once: they may be a tenth of the catalogue."""
        if people not in self._due:
            met = self.belief.trials[self.newcomers]
            count = int(np.searchsorted(met, people, side="left"))
            rows, worth = self.newcomers[:count], 1.0 / (1.0 + met[:count])
            need = np.zeros(len(self.new), np.float32)
            need[rows] = worth
            self._due[people] = Due(rows, np.cumsum(worth), need)
        return self._due[people]


@dataclass(frozen=True, slots=True)
class ServedFeatures:
    """What the ranker sees of contents: float32 bytes by content id, in the order of the feature set.

    `counted_until` is the moment the counters hold for, which training needs to compute the same rows again.
    """

    feature_set: str = ""
    rows: Mapping[str, bytes] = field(default_factory=dict)
    counted_until: datetime | None = None


_latest: list[tuple[ContentSnapshot, Stock]] = []
"""The newest snapshot this process has seen, as it was written, and its stock, with what came since."""
_making = threading.Lock()
"""Held by the one thread that makes a new stock; whoever comes meanwhile serves from the one before."""
_kept = threading.Event()
"""Set where a thread keeps the stock up to date (`stock_keeper`): then no request looks at the disk."""


def refresh_stock() -> None:
    """Serve from the newest snapshot and from what was uploaded since; called by one thread of a process, again and
    again. What a request would wait for, loading a snapshot above all, is done here.
    """
    found = arrivals.refresh()
    if found is None:
        return
    with _making:
        if not _latest or _latest[0][0] is not found.base or len(_latest[0][1].snapshot) != len(found.snapshot):
            _latest[:] = [(found.base, Stock(found.snapshot, shelf_of(found.snapshot)))]
        elif len(found.changed):
            _latest[:] = [(found.base, _latest[0][1].after(found.snapshot, found.changed))]


def keep_stock(*, kept: bool) -> None:
    """Say whether a thread of this process calls `refresh_stock`, so that `current_stock` need not look for itself."""
    (_kept.set if kept else _kept.clear)()


def is_kept() -> bool:
    """Whether a thread of this process does what would make requests wait."""
    return _kept.is_set()


def current_stock() -> Stock | None:
    """The stock to serve from; None when there is no snapshot or it cannot be read."""
    if _kept.is_set() and _latest:
        return _latest[0][1]
    try:
        snapshot = store.snapshot()
    except DatabaseError:
        raise
    except Exception:  # a damaged snapshot must not take the feed down
        logger.exception("the content snapshot cannot be read; serving the latest uploads")
        return None
    if snapshot is None:
        return None
    stale = not _latest or _latest[0][0] is not snapshot
    # The first threads of all have nothing to serve from, and wait.
    if stale and _making.acquire(blocking=not _latest):
        try:
            if not _latest or _latest[0][0] is not snapshot:
                _latest[:] = [(snapshot, Stock(snapshot, shelf_of(snapshot)))]
        finally:
            _making.release()
    return _latest[0][1]


def shelf_of(snapshot: ContentSnapshot) -> Shelf:
    """The same arrays under the names the stages know; nothing is copied."""
    return Shelf(
        version=snapshot.version,
        content_id=snapshot.content_id,
        row_of=snapshot.row_of,
        creator=snapshot.creator,
        category=snapshot.category,
        uploaded_s=snapshot.upload_timestamp,
        duration_s=snapshot.duration_s,
        active=snapshot.active,
        embedding=snapshot.embedding,
        popularity=snapshot.popularity,
        nearest=snapshot.index.search if len(snapshot.index) else None,
        successors=successors_of(snapshot),
        look=snapshot.look,
        sound=snapshot.sound,
    )


def belief_of(snapshot: ContentSnapshot) -> BetaPosteriors:
    """Long views per person who met a content in the last week; the prior is the mean of all."""
    people = snapshot.counters[:, COUNTER_COLUMN["exposures", "7d"]].astype(np.float64)
    long_views = snapshot.counters[:, COUNTER_COLUMN["long_views", "7d"]].astype(np.float64)
    # Somebody may watch what a client never reported as shown.
    people = np.maximum(people, long_views)
    mean = smoothed_rate(long_views.sum(), people.sum(), prior=PRIOR_RATE["long_views"], strength=PRIOR_STRENGTH)
    return BetaPosteriors(long_views, people, float(mean))


def newcomers_of(snapshot: ContentSnapshot, belief: BetaPosteriors) -> Ids:
    """Rows of what was uploaded within the week before the snapshot and met by few people; fewest first.

    Of as many people the latest upload comes first, which no list has had the time to show. In a catalogue that is
    mostly new the label would say nothing, and a cap on its share would stop all exploration: there it is rationed to
    the `MOST_NEW` of the catalogue that need it most, and passes on to others as they are met.
    """
    new = (snapshot.until - snapshot.upload_timestamp < RECENT_S) & (belief.trials < NEW_PEOPLE) & snapshot.active
    rows = np.flatnonzero(new)
    order = np.lexsort((-snapshot.upload_timestamp[rows], belief.trials[rows]))
    return rows[order][: int(MOST_NEW * snapshot.active.sum())]


def creator_groups(snapshot: ContentSnapshot, belief: BetaPosteriors) -> NDArray[np.int64]:
    """Little known and well known creators, by who met their active contents in the week; see `Stock`."""
    known = snapshot.creator >= 0
    counted = known & snapshot.active
    creators = len(snapshot.creators)
    people = np.bincount(snapshot.creator[counted], weights=belief.trials[counted], minlength=creators)
    present = np.bincount(snapshot.creator[counted], minlength=creators) > 0
    group = (people >= np.median(people[present])).astype(np.int64) if present.any() else np.zeros(creators, np.int64)
    return np.where(known, np.append(group, -1)[snapshot.creator], -1)


def successors_of(snapshot: ContentSnapshot) -> Callable[[Ids], Scores] | None:
    """What may follow, by the sequential model; by the vectors of all contents where it knows none of the positives.

    The sequential model finds far better, but has a place for the most met contents only. Any content may say where
    somebody is; what then follows are the `COMPARED` most popular contents: a vector is compared with each of them, and
    those of a million would keep every third feed of a large catalogue waiting.
    """
    sequential, vectors = snapshot.sequential, snapshot.word_vectors
    if sequential is None or vectors is None:
        return None if sequential is None else sequential.scores
    popular = np.sort(np.argsort(-snapshot.popularity[vectors.items], kind="stable")[:COMPARED])
    rows, compared = vectors.items[popular], vectors.vector[popular]

    def scores(positives: Ids) -> Scores:
        if sequential.knows(positives):
            return sequential.scores(positives)
        found, vector = np.zeros(len(snapshot), np.float32), vectors.user_vector(positives)
        if vector is not None:
            found[rows] = compared @ vector
        return found

    return scores


def recollection_of(history: History, stock: Stock) -> Recollection | None:
    """What the user's history comes to; None without one, and when it cannot be computed."""
    if len(history) == 0:
        return None
    try:
        return recollect(history, stock.snapshot)
    except Exception:  # the feed copes with a stranger
        logger.exception("a history cannot be read; serving as for a new user")
        return None


def taste_vector(history: History, stock: Stock) -> Vector | None:
    """The user's taste in the embedding space; None on a cold start, and when it cannot be computed."""
    recollection = recollection_of(history, stock)
    return None if recollection is None else recollection.taste


def trending_rows(shelf: Shelf) -> Ids:
    """Rows of the contents that trend, strongest first; those that the snapshot lacks are left out.

    Reads the database at most once a second per process, and never raises.
    """
    ids = trends.trending_contents()
    rows = (shelf.row_of.get(each) for each in ids)
    return np.array([row for row in rows if row is not None], np.int64)


class RankerFeatures:
    """Features of contents for one request: what the ranker asks for, and what is logged of the page that came of it.

    What was assembled for the candidates is kept, so that the few of the page are looked up instead of assembled
    again; pages of the levels without a model, and contents that came by another way, are logged by the same function.
    """

    def __init__(self, history: History, stock: Stock | None, *, now: datetime, profile: Profile, surface: str) -> None:
        self._history, self._stock, self._now = history, stock, now
        self._profile, self._surface = profile, surface
        self._rows = np.empty(0, np.int64)
        self._blocks: FeatureBlocks | None = None
        self._recollection = None if stock is None else recollection_of(history, stock)

    @property
    def taste(self) -> Vector | None:
        """The user's taste in the embedding space; None on a cold start, and when it cannot be computed."""
        return None if self._recollection is None else self._recollection.taste

    def __call__(self, rows: Ids) -> FeatureBlocks:
        """Features of candidates, as the model ranker asks for them."""
        assert self._stock is not None, "without a stock there are no rows to ask about"
        blocks = assemble(
            self._history, self._stock.snapshot, rows, now=self._now, profile=self._profile, surface=self._surface,
            recollection=self._recollection,
        )  # fmt: skip
        self._rows, self._blocks = rows, blocks
        return blocks

    def served(self, content_ids: Sequence[str]) -> ServedFeatures:
        """What the ranker saw, or would have seen, of the contents of a page; those that the snapshot lacks have none.

        Nothing in a row of features depends on the other rows asked for, so a looked-up one has the same bits.
        """
        stock = self._stock
        known = [each for each in content_ids if stock is not None and each in stock.shelf.row_of]
        if stock is None or not known:
            return ServedFeatures()
        try:
            joined = self._joined(np.array([stock.shelf.row_of[each] for each in known], np.int64))
        except Exception:  # a page without logged features is worth less to training, but still a page
            logger.exception("features of a served page cannot be assembled")
            return ServedFeatures()
        of_content = {each: row.tobytes() for each, row in zip(known, joined, strict=True)}
        return ServedFeatures(FEATURE_SET, of_content, datetime.fromtimestamp(stock.snapshot.until, UTC))

    def _joined(self, rows: Ids) -> NDArray[np.float32]:
        """Feature rows (n, all dimensions), little-endian float32."""
        place_of = {row: place for place, row in enumerate(self._rows.tolist())}
        blocks = self._blocks
        if blocks is None or not all(row in place_of for row in rows.tolist()):
            blocks = self(rows)
            place_of = {row: place for place, row in enumerate(rows.tolist())}
        at = [place_of[row] for row in rows.tolist()]
        of_user = np.broadcast_to(blocks.user, (len(at), blocks.user.shape[-1]))
        return np.concatenate([of_user, blocks.content[at], blocks.context[at]], axis=1).astype("<f4")
