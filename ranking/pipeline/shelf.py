"""What the stages read of the catalogue, as arrays indexed by row, and what one user's last events say about them.

A `Shelf` is made once per content snapshot and shared by all requests; a `SessionTaste` is made once per request.
Neither reads a store: `ranking/feed.py` fills them.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from events.cleaning.schema import EVENT_TYPES
from events.columnar.history import History
from features.extraction.definitions import LAG_DECAY
from features.extraction.engagement import WORTH_LIMIT, still_refused, worth
from ranking.pipeline.stages import Ids, Mask, Scores, Vector

UNKNOWN = -1
"""Code of a creator, category or row that the snapshot does not know."""

SESSION_LENGTH = 20
POSITIVE_WORTH = 0.5
"""Half a clip watched, or any deliberate praise, makes a content a starting point for what follows."""
SHRINKAGE = 1.0
"""One imagined neutral judgement per category and creator: a single skip is a hint, not a verdict."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """The catalogue as serving sees it; n contents, d embedding dimensions.

    Attributes
    ----------
    version : the snapshot this was made from
    content_id : object array of str (n,)
    row_of : content id to row
    creator, category : int32 arrays (n,), codes, `UNKNOWN` where the content has none
    uploaded_s : float64 array (n,), seconds since 1970 UTC
    duration_s : float32 array (n,), NaN where unknown
    active : bool array (n,), whether serving might show it when the snapshot was made
    embedding : float32 array (n, d), unit rows or zero rows
    popularity : float32 array (n,), decayed engagement, >= 0, comparable between contents
    nearest : (unit vector, k, mask of rows that may come out) -> rows and cosines, best first; None without an index
    successors : rows of the last positives, oldest first -> one score per content; None without a sequential model
    finder : rows of the positives and of all that was met, oldest first -> one score per content, by several models at
        once; None where no trained retriever serves, and then the successors find
    look : int32 array (n,), codes of contents whose media look the same, `UNKNOWN` where there is no other
    sound : int32 array (n,), codes of the sounds that contents play, `UNKNOWN` where a content names none
    hottest : int64 array, active rows with any popularity, most popular first; sorted once, not on every request
    newest : int64 array, active rows, latest upload first
    categories, creators : how many codes there are
    """

    version: str
    content_id: NDArray[np.object_]
    row_of: Mapping[str, int]
    creator: NDArray[np.int32]
    category: NDArray[np.int32]
    uploaded_s: NDArray[np.float64]
    duration_s: NDArray[np.float32]
    active: NDArray[np.bool_]
    embedding: NDArray[np.float32]
    popularity: NDArray[np.float32]
    nearest: Callable[[Vector, int, Mask], tuple[Ids, Scores]] | None
    successors: Callable[[Ids], Scores] | None
    look: NDArray[np.int32]
    sound: NDArray[np.int32]
    finder: Callable[[Ids, Ids], Scores] | None = None
    hottest: Ids = field(init=False, repr=False)
    newest: Ids = field(init=False, repr=False)
    categories: int = field(init=False, repr=False)
    creators: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        active = np.flatnonzero(self.active)
        popular = active[self.popularity[active] > 0.0]
        object.__setattr__(self, "hottest", popular[np.argsort(-self.popularity[popular], kind="stable")])
        object.__setattr__(self, "newest", active[np.argsort(-self.uploaded_s[active], kind="stable")])
        object.__setattr__(self, "categories", int(self.category.max(initial=UNKNOWN)) + 1)
        object.__setattr__(self, "creators", int(self.creator.max(initial=UNKNOWN)) + 1)

    def __len__(self) -> int:
        return len(self.content_id)

    def only(self, allowed: Mask) -> "Shelf":
        """The same rows, of which only the allowed ones count as active; the sorted orders are thinned, not made anew.

        Parameters
        ----------
        allowed : bool array (n,)
        """
        thinned = copy(self)
        object.__setattr__(thinned, "active", self.active & allowed)
        object.__setattr__(thinned, "hottest", self.hottest[allowed[self.hottest]])
        object.__setattr__(thinned, "newest", self.newest[allowed[self.newest]])
        return thinned

    def finding(self, finder: Callable[[Ids, Ids], Scores] | None) -> "Shelf":
        """The same rows with another finder."""
        other = copy(self)
        object.__setattr__(other, "finder", finder)
        return other

    def after(self, changed: Ids) -> "Shelf":
        """The same after some rows were filled or changed in place; the sorted orders are mended, not made anew.

        Parameters
        ----------
        changed : int64 array, each row once
        """
        mended = copy(self)
        stays = np.ones(len(self), np.bool_)
        stays[changed] = False
        newest = self.newest[stays[self.newest]]
        new = changed[self.active[changed]]
        new = new[np.argsort(-self.uploaded_s[new], kind="stable")]
        # Twenty looks each instead of the age of every content.
        places = [bisect_right(newest, -self.uploaded_s[row], key=lambda at: -self.uploaded_s[at]) for row in new]
        object.__setattr__(mended, "newest", np.insert(newest, places, new))
        object.__setattr__(mended, "hottest", self.hottest[self.active[self.hottest]])
        for name, codes in (("categories", self.category), ("creators", self.creator)):
            object.__setattr__(mended, name, max(getattr(self, name), int(codes[changed].max(initial=UNKNOWN)) + 1))
        return mended

    def rows(self, content_ids: NDArray[np.object_]) -> Ids:
        """Rows of content ids, `UNKNOWN` for those the snapshot lacks."""
        row_of = self.row_of
        return np.array(list(map(row_of.get, content_ids.tolist(), repeat(UNKNOWN))), np.int64)


@dataclass(frozen=True, slots=True)
class SessionTaste:
    """What the user's last `SESSION_LENGTH` judged contents say, as lookup tables for scoring.

    Attributes
    ----------
    category, creator : float32 arrays, one affinity in [-3, 3] per code; the last entry (index `UNKNOWN`) is 0
    positives : rows of all contents the user liked or watched at least half of, oldest first; models that look back
        further than a session take what they need
    evidence : in [0, 1), how much was seen of this user: judged / (judged + 2)
    met : rows of all contents the user had to do with, each once, oldest first
    """

    category: NDArray[np.float32]
    creator: NDArray[np.float32]
    positives: Ids
    evidence: float
    met: Ids = field(default_factory=lambda: np.empty(0, np.int64))
    _follows: list[Scores] = field(default_factory=list, init=False, repr=False, compare=False)

    def follows(self, shelf: Shelf) -> Scores | None:
        """Successor score of every content, read-only, asked once; None without positives or a sequential model."""
        if shelf.successors is None or len(self.positives) == 0:
            return None
        if not self._follows:
            self._follows.append(shelf.successors(self.positives))
        return self._follows[0]

    def finds(self, shelf: Shelf) -> Scores | None:
        """How likely every content is wanted next, by the best there is; None where nothing is known of the user."""
        if shelf.finder is None or len(self.positives) + len(self.met) == 0:
            return self.follows(shelf)
        return shelf.finder(self.positives, self.met)


def judge(history: History, shelf: Shelf, rows: Ids) -> NDArray[np.float64]:
    """What each event of a history says about its content, in watched clips: float64 array (len(history),)."""
    duration_s = np.full(len(rows), np.nan, np.float32)
    duration_s[rows >= 0] = shelf.duration_s[rows[rows >= 0]]
    return worth(history.event_type, history.watch_s, history.long_view, duration_s)


def session_taste(history: History, shelf: Shelf) -> SessionTaste:
    """The short channel of personalisation: one event already moves it.

    Several events about one content are one judgement, dated by the latest: their sum, within [-3, 3]. The affinity of
    a category is the mean of its judgements with weight `0.9 ** lag`, shrunk by one imagined neutral judgement:
    `sum(w * worth) / (sum(w) + 1)`; the same for the creators of those contents.
    """
    rows = shelf.rows(history.content_id)
    value = judge(history, shelf, rows)
    telling = np.flatnonzero((value != 0.0) & (rows >= 0))
    order = telling[::-1]
    contents, first, inverse = np.unique(rows[order], return_index=True, return_inverse=True)
    total = np.bincount(inverse, weights=value[order], minlength=len(contents)).clip(-WORTH_LIMIT, WORTH_LIMIT)
    newest = np.argsort(first)
    positives = contents[newest][total[newest] >= POSITIVE_WORTH][::-1]
    judged, verdict = contents[newest[:SESSION_LENGTH]], total[newest[:SESSION_LENGTH]]
    weight = np.power(LAG_DECAY, np.arange(len(judged), dtype=np.float64))
    return SessionTaste(
        category=_affinity(shelf.category[judged], shelf.categories, verdict, weight),
        creator=_affinity(shelf.creator[judged], shelf.creators, verdict, weight),
        positives=positives.astype(np.int64),
        evidence=len(judged) / (len(judged) + 2.0),
        met=_in_order(rows[rows >= 0]),
    )


def _in_order(rows: Ids) -> Ids:
    """Each row once, where it stands last."""
    _, first = np.unique(rows[::-1], return_index=True)
    return rows[::-1][np.sort(first)][::-1].astype(np.int64)


def refused(history: History) -> set[str]:
    """Content ids that the user hid, without taking it back, or reported."""
    return set(history.content_id[still_refused(history.event_type, history.content_id)]) - {""}


def followed(history: History, before: frozenset[str] = frozenset()) -> set[str]:
    """Creators that the user follows: those followed before the history begins, and what it says since."""
    creators = set(before)
    for kind, creator in zip(history.event_type.tolist(), history.creator_id.tolist(), strict=True):
        if kind == EVENT_TYPES.index("follow"):
            creators.add(creator)
        elif kind == EVENT_TYPES.index("unfollow"):
            creators.discard(creator)
    return creators - {""}


def _affinity(
    codes: NDArray[np.int32], size: int, value: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Shrunk weighted mean of judgements per code, of `size` codes, with a last entry 0 for `UNKNOWN`."""
    known = codes >= 0
    total = np.bincount(codes[known], weights=(weight * value)[known], minlength=size)
    mass = np.bincount(codes[known], weights=weight[known], minlength=size)
    return np.append(total / (mass + SHRINKAGE), 0.0).astype(np.float32)
