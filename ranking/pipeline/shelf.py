"""What the stages read of the catalogue, as arrays indexed by row, and what one user's last events say about them.

A `Shelf` is made once per content snapshot and shared by all requests; a `SessionTaste` is made once per request.
Neither reads a store: `ranking/feed.py` fills them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from events.cleaning.schema import EVENT_TYPES
from events.columnar.history import History
from ranking.pipeline.stages import Ids, Scores, Vector

UNKNOWN = -1
"""Code of a creator, category or row that the snapshot does not know."""

CODE = {name: code for code, name in enumerate(EVENT_TYPES)}
SESSION_LENGTH = 20
LAG_DECAY = 0.9
LONG_VIEW_S = 18.0
SHORT_VIEW_S = 2.0

# What an event says about the content, in units of one watched clip. Watching is the common currency, deliberate
# gestures weigh a little more, and refusals more than any praise: showing a hidden topic again is the worse mistake.
EVENT_WORTH: Mapping[str, float] = {
    "complete_view": 1.0,
    "replay": 1.0,
    "like": 1.0,
    "comment": 1.0,
    "share": 1.5,
    "save": 1.5,
    "follow": 1.5,
    "unlike": -0.5,
    "unsave": -0.5,
    "skip": -1.0,
    "unfollow": -1.5,
    "hide": -3.0,
    "report": -3.0,
}
_WORTH = np.array([EVENT_WORTH.get(name, 0.0) for name in EVENT_TYPES], dtype=np.float32)
_REFUSALS = np.array([CODE[n] for n in ("hide", "report")], dtype=np.uint8)


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
    nearest : (unit vector, k) -> rows and cosines, best first; None without an index
    successors : rows of the last positives, oldest first -> one score per content; None without a sequential model
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
    nearest: Callable[[Vector, int], tuple[Ids, Scores]] | None
    successors: Callable[[Ids], Scores] | None

    def __len__(self) -> int:
        return len(self.content_id)

    def rows(self, content_ids: NDArray[np.object_]) -> Ids:
        """Rows of content ids, `UNKNOWN` for those the snapshot lacks."""
        row_of = self.row_of
        return np.fromiter((row_of.get(each, UNKNOWN) for each in content_ids), np.int64, len(content_ids))


@dataclass(frozen=True, slots=True)
class SessionTaste:
    """What the user's last `SESSION_LENGTH` judged contents say, as lookup tables for scoring.

    Attributes
    ----------
    category, creator : float32 arrays, one affinity in [-3, 3] per code; the last entry (index `UNKNOWN`) is 0
    positives : rows of contents the user liked or watched, oldest first
    evidence : in [0, 1), how much was seen of this user: judged / (judged + 2)
    """

    category: NDArray[np.float32]
    creator: NDArray[np.float32]
    positives: Ids
    evidence: float


def judge(history: History, shelf: Shelf, rows: Ids) -> NDArray[np.float32]:
    """What each event of a history says about its content; 0 for those that say nothing.

    A `view` counts by its length: 1 for a long view (an imported `long_view`, or watched >= min(18 s, duration)),
    -0.5 when left within 2 s, and watched / min(18 s, duration) between. Unknown duration counts as 18 s.

    Returns
    -------
    float32 array (len(history),)
    """
    worth = _WORTH[history.event_type]
    is_view = history.event_type == CODE["view"]
    if is_view.any():
        duration = np.where(rows >= 0, shelf.duration_s[np.maximum(rows, 0)], np.nan) if len(shelf) else np.nan
        goal = np.fmax(np.fmin(duration, LONG_VIEW_S), 1.0)
        watched = np.nan_to_num(history.watch_s, nan=0.0)
        share = np.where(watched < np.minimum(SHORT_VIEW_S, goal), -0.5, np.minimum(watched / goal, 1.0))
        stated = np.where(history.long_view == 1, 1.0, 0.0)
        share = np.where(history.long_view >= 0, stated, share)
        worth = np.where(is_view, share, worth)
    return worth.astype(np.float32)


def session_taste(history: History, shelf: Shelf) -> SessionTaste:
    """The short channel of personalisation: one event already moves it.

    Several events about one content are one judgement, dated by the latest: their sum, within [-3, 3]. The affinity of
    a category is the mean of its judgements with weight `0.9 ** lag`, shrunk by one imagined neutral judgement:
    `sum(w * worth) / (sum(w) + 1)`; the same for creators, where an event without a content (follow) counts too.
    """
    rows = shelf.rows(history.content_id)
    worth = judge(history, shelf, rows)
    telling = np.flatnonzero((worth != 0.0) & (rows >= 0))
    order = telling[::-1]
    contents, first, inverse = np.unique(rows[order], return_index=True, return_inverse=True)
    total = np.clip(np.bincount(inverse, weights=worth[order], minlength=len(contents)), -3.0, 3.0)
    latest = np.argsort(first)[:SESSION_LENGTH]
    judged, value = contents[latest], total[latest]
    weight = LAG_DECAY ** np.arange(len(judged))
    positives = judged[value > 0.0][::-1]
    return SessionTaste(
        category=_affinity(shelf.category, judged, value, weight),
        creator=_affinity(shelf.creator, judged, value, weight),
        positives=positives.astype(np.int64),
        evidence=len(judged) / (len(judged) + 2.0),
    )


def seen_rows(rows: Ids) -> Ids:
    """Rows the user has met, each once, dated by the latest meeting, oldest first.

    Any event about a content counts, not only an impression: who likes a clip has seen it. `rows` are those of a
    history, with `UNKNOWN` for what the snapshot lacks.

    >>> seen_rows(np.array([4, 2, -1, 4])).tolist()
    [2, 4]
    """
    met = rows[rows >= 0]
    reverse, first = np.unique(met[::-1], return_index=True)
    return reverse[np.argsort(-first)].astype(np.int64)


def refused(history: History) -> set[str]:
    """Content ids that the user hid or reported."""
    return set(history.content_id[np.isin(history.event_type, _REFUSALS)]) - {""}


def _affinity(
    code_of: NDArray[np.int32], judged: Ids, value: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Shrunk weighted mean of judgements per code, with a last entry 0 for `UNKNOWN`."""
    codes = code_of[judged]
    size = int(code_of.max(initial=UNKNOWN)) + 1
    known = codes >= 0
    total = np.bincount(codes[known], weights=(weight * value)[known], minlength=size)
    mass = np.bincount(codes[known], weights=weight[known], minlength=size)
    return np.append(total / (mass + 1.0), 0.0).astype(np.float32)
