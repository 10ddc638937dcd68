"""One user's history, resolved against a snapshot: ids become rows, events about one content become one encounter."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from events.columnar.history import History
from events.columnar.interactions import ABSENT, Interactions
from features.extraction.counting import SIGNAL_BITS, signal_kind
from features.extraction.definitions import HISTORY_LIMIT, RATED, SIGNALS
from features.extraction.engagement import CODE, JUDGING, WORTH_LIMIT, still_refused, worth
from features.extraction.snapshot import UNKNOWN, ContentSnapshot

WATCH_RATIO_CAP = 2.0
FLAGS: Final = tuple(RATED)
"""What can happen in an encounter: the signals that are read as rates, in their order."""
_FLAGS_OF_KIND: Final = (SIGNAL_BITS[:, None] >> np.array([SIGNALS.index(name) for name in FLAGS]) & 1).astype(
    np.float64
)


@dataclass(frozen=True, slots=True)
class Past:
    """Events of one user, oldest first, as codes; all columns have the same length n.

    Attributes
    ----------
    event_type : uint8 array
    row : int64 array, rows of the snapshot, `UNKNOWN` where it lacks the content or the event has none
    creator : int64 array, creator codes of the snapshot as the event states them, or `UNKNOWN`
    timestamp : float64 array, seconds since 1970 UTC
    watch_s : float32 array, NaN where the event carries none
    long_view : int8 array, 1, 0, or -1 where not stated
    surface : object array of str, "" where unknown
    """

    event_type: NDArray[np.uint8]
    row: NDArray[np.int64]
    creator: NDArray[np.int64]
    timestamp: NDArray[np.float64]
    watch_s: NDArray[np.float32]
    long_view: NDArray[np.int8]
    surface: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.event_type)

    def slice(self, start: int, stop: int) -> Self:
        """Events start..stop-1, as views."""
        cut = slice(start, stop)
        return type(self)(
            self.event_type[cut], self.row[cut], self.creator[cut], self.timestamp[cut], self.watch_s[cut],
            self.long_view[cut], self.surface[cut],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Encounters:
    """The distinct contents a user met, the latest first; all columns have the same length m.

    Attributes
    ----------
    row : int64 array, rows of the snapshot
    at : float64 array, time of the latest event about it, seconds since 1970 UTC
    times : float64 array, meetings: impressions, or views where the log has no impression
    judged : bool array, whether the user did more than pass
    worth : float64 array, sum of what its events say, within +-3 (see `engagement`)
    flags : float64 array (m, len(FLAGS)), 1 where it happened
    refusal : bool array, hidden without taking it back, or reported
    watch_ratio : float64 array, watched share of the clip per view, at most 2; NaN where unknown
    surface : object array of str, where the latest event about it happened
    """

    row: NDArray[np.int64]
    at: NDArray[np.float64]
    times: NDArray[np.float64]
    judged: NDArray[np.bool_]
    worth: NDArray[np.float64]
    flags: NDArray[np.float64]
    refusal: NDArray[np.bool_]
    watch_ratio: NDArray[np.float64]
    surface: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.row)

    def happened(self, signal: str) -> NDArray[np.float64]:
        """One column of `flags`."""
        return np.asarray(self.flags[:, FLAGS.index(signal)])


def resolve(history: History, snapshot: ContentSnapshot) -> Past:
    """The last `HISTORY_LIMIT` events of a history as codes of the snapshot."""
    last = slice(-HISTORY_LIMIT, None)
    return Past(
        history.event_type[last],
        snapshot.rows(history.content_id[last].tolist()),
        snapshot.creator_codes(history.creator_id[last].tolist()),
        history.timestamp[last],
        history.watch_s[last],
        history.long_view[last],
        history.surface[last],
    )


def told_before(log: Interactions, user: NDArray[np.int32], moments: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many events of a user that features look at lie strictly before a moment; int64 (n,).

    Parameters
    ----------
    user, moments : arrays (n,), codes of `log.users` and seconds since 1970 UTC
    """
    told = np.flatnonzero((log.event_type != CODE["content_upload"]) & (log.user != ABSENT))
    order = told[np.argsort(log.user[told], kind="stable")]
    first = np.searchsorted(log.user[order], np.arange(len(log.users) + 1))
    asked = zip(first[user].tolist(), first[user + 1].tolist(), moments.tolist(), strict=True)
    times = log.timestamp[order]
    return np.array([np.searchsorted(times[low:high], moment) for low, high, moment in asked], np.int64)


def encounters(past: Past, snapshot: ContentSnapshot) -> Encounters:
    """Group the events by content; events about contents that the snapshot lacks are left out."""
    newest_first = np.flatnonzero(past.row != UNKNOWN)[::-1]
    kind, row = past.event_type[newest_first], past.row[newest_first]
    watch_s, long_view = past.watch_s[newest_first], past.long_view[newest_first]
    rows, first, group = np.unique(row, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(rows), np.int64)
    rank[order] = np.arange(len(rows))
    group = rank[group]
    m = len(rows)
    duration = snapshot.duration_s[row]
    viewed = (kind == CODE["view"]) & (watch_s >= 0) & (duration > 0)
    share = np.zeros(len(kind))
    share[viewed] = watch_s[viewed] / duration[viewed]
    with np.errstate(invalid="ignore"):
        watch_ratio = np.minimum(_totals(group, share, m) / _totals(group, viewed, m), WATCH_RATIO_CAP)
    impressions = _totals(group, kind == CODE["impression"], m)
    views = _totals(group, kind == CODE["view"], m)
    flags = np.zeros((m, len(FLAGS)))
    if m:
        by_group = np.argsort(group, kind="stable")
        start = np.flatnonzero(np.diff(group[by_group], prepend=-1))
        flags = np.maximum.reduceat(_FLAGS_OF_KIND[signal_kind(kind, watch_s, long_view, duration)[by_group]], start)
    return Encounters(
        row=rows[order],
        at=past.timestamp[newest_first][first[order]],
        times=np.maximum(np.maximum(impressions, views), 1.0),
        judged=_totals(group, JUDGING[kind], m) > 0,
        worth=np.clip(_totals(group, worth(kind, watch_s, long_view, duration), m), -WORTH_LIMIT, WORTH_LIMIT),
        flags=flags,
        refusal=_totals(group, still_refused(past.event_type, past.row)[newest_first], m) > 0,
        watch_ratio=watch_ratio,
        surface=past.surface[newest_first][first[order]],
    )


def _totals(group: NDArray[np.int64], values: NDArray[np.float64] | NDArray[np.bool_], m: int) -> NDArray[np.float64]:
    """Sum of the values per group."""
    return np.asarray(np.bincount(group, weights=values, minlength=m), np.float64)


def followed_creators(past: Past) -> NDArray[np.int64]:
    """Creator codes whose last follow or unfollow is a follow, ascending."""
    about = np.flatnonzero(
        ((past.event_type == CODE["follow"]) | (past.event_type == CODE["unfollow"])) & (past.creator != UNKNOWN)
    )[::-1]
    creators, latest = np.unique(past.creator[about], return_index=True)
    return np.asarray(creators[past.event_type[about[latest]] == CODE["follow"]])
