"""What followed an exposure, per head: the rules behind `heads.HEADS`, over the columns of the log.

    0 s    impression of c1         long view and completion: watched 19 s of 19 s
    19 s   view of c1, 19 s
    20 s   impression of c2         skip
    21 s   skip of c2, 1 s
    25 s   impression of c3         like and hide: both happened
    30 s   like of c3
    40 s   hide of c3

Outcomes belong to the last exposure of the same user to the same content before them; a follow that names no content
belongs to the user's last exposure if that was of this creator. `unlike`, `unsave` and `unfollow` change nothing: the
satisfaction was there. An `unhide` takes the hide back.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from events.columnar.interactions import ABSENT, ContentTable, Interactions
from features.extraction.definitions import SESSION_GAP_S
from features.extraction.engagement import CODE, SHORT_VIEW_S, is_long_view, kinds, still_refused
from ranking.ranker.heads import (
    COLUMN,
    GESTURE_WINDOW_S,
    HEADS,
    LABEL_WINDOW_S,
    LONGEST_WATCH_S,
    RETURN_WINDOW_S,
    Labels,
)

REPLAY_RATIO = 1.5
"""Watched for so many lengths is a replay, whatever the client calls it."""
_GESTURES = ("like", "comment", "share", "save", "follow", "report")
_WATCHING = kinds("view", "complete_view", "replay", "skip")


@dataclass(frozen=True, slots=True)
class Answers:
    """Events about contents, and the exposure that each answers; m events, grouped by user and content, by time.

    Attributes
    ----------
    row : int64 array (m,), rows of the log
    pair : int64 array (m,), one number per user and content
    exposure : int64 array (m,), position within these events of the exposure, -1 for none
    """

    row: NDArray[np.int64]
    pair: NDArray[np.int64]
    exposure: NDArray[np.int64]


def label(
    log: Interactions,
    catalogue: ContentTable,
    answers: Answers,
    starts: NDArray[np.bool_],
    chosen: NDArray[np.int64],
    *,
    until: float,
) -> Labels:
    """Labels of the chosen exposures.

    Parameters
    ----------
    starts : bool array (m,), which of the answers are exposures
    chosen : int64 array (n,), positions of some of these
    until : seconds since 1970 UTC; a return is judged if its day was over by then, and by the end of the log
    """
    row, exposure = answers.row, answers.exposure
    kind, moment = log.event_type[row], log.timestamp[row]
    waited = np.where(exposure >= 0, moment - moment[exposure], np.inf)
    soon, in_time = waited <= LABEL_WINDOW_S, waited <= GESTURE_WINDOW_S
    duration_s = _durations(log, catalogue)[log.content[row]]
    watch_s = log.watch_s[row]
    told = np.zeros((len(row), len(HEADS)), np.bool_)

    def yes(head: str, which: NDArray[np.bool_]) -> None:
        told[exposure[which], COLUMN[head]] = True

    view = kind == CODE["view"]
    yes("long_view", soon & is_long_view(kind, watch_s, log.long_view[row], duration_s))
    ends = kinds("complete_view", "replay")[kind] | (view & (watch_s >= duration_s))
    yes("completion", soon & ends)
    yes("replay", soon & ((kind == CODE["replay"]) | (view & (watch_s > REPLAY_RATIO * duration_s))))
    yes("skip", soon & ((kind == CODE["skip"]) | (view & (watch_s < SHORT_VIEW_S))))
    # Two seconds may be all of a short clip.
    told[told[:, COLUMN["completion"]], COLUMN["skip"]] = False
    for gesture in _GESTURES:
        yes(gesture, in_time & (kind == CODE[gesture]))
    yes("hide", in_time & (kind == CODE["hide"]) & still_refused(kind, answers.pair))
    told[_followed(log, catalogue, row, starts), COLUMN["follow"]] = True
    heads = told[chosen].astype(np.float32)
    # What the log does not reach has not been observed: an imported one ends long before today.
    observed = min(until, float(log.timestamp.max(initial=-np.inf)))
    heads[:, COLUMN["return_24h"]] = _returned(log, until=observed)[row[chosen]]
    return Labels(heads, _watched(kind, watch_s, np.where(soon, exposure, -1), duration_s)[chosen])


def last_at(mark: NDArray[np.bool_], group: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each row the last marked row at or before it in its group, -1 for none; groups are contiguous."""
    return _within_group(_running_last(mark), group)


def last_before(mark: NDArray[np.bool_], group: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same, strictly before it."""
    return _within_group(np.r_[np.int64(-1), _running_last(mark)][: len(mark)], group)


def _running_last(mark: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.maximum.accumulate(np.where(mark, np.arange(len(mark)), -1))


def _within_group(last: NDArray[np.int64], group: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where((last >= 0) & (group[last] == group), last, -1)


def _durations(log: Interactions, catalogue: ContentTable) -> NDArray[np.float32]:
    """Seconds by content code of the log, NaN where unknown."""
    duration_of = dict(zip(catalogue.content_id.tolist(), catalogue.duration_s.tolist(), strict=True))
    return np.array([duration_of.get(content, np.nan) for content in log.contents.tolist()], np.float32)


def _watched(
    kind: NDArray[np.uint8], watch_s: NDArray[np.float32], exposure: NDArray[np.int64], duration_s: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Seconds per exposure: those of its views, else those of its skips, else the whole clip if that was completed.

    No event of watching at all means 0 s. Watching without any of these figures is not known.
    """
    size = len(kind)

    def total(which: NDArray[np.bool_], seconds: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        given = np.flatnonzero(which & (exposure >= 0) & ~np.isnan(seconds))
        summed = np.bincount(exposure[given], weights=seconds[given], minlength=size)
        return np.asarray(summed, np.float64), np.bincount(exposure[given], minlength=size) > 0

    nothing = np.zeros(size, np.float32)
    viewed, has_view = total(kind == CODE["view"], watch_s)
    skipped, has_skip = total(kind == CODE["skip"], watch_s)
    _, completed = total(kind == CODE["complete_view"], nothing)
    _, watching = total(_WATCHING[kind], nothing)
    seconds = np.where(watching, np.nan, 0.0)
    seconds = np.where(completed, duration_s, seconds)
    seconds = np.where(has_skip, skipped, seconds)
    seconds = np.where(has_view, viewed, seconds)
    return np.clip(seconds, 0.0, LONGEST_WATCH_S).astype(np.float32)


def _returned(log: Interactions, *, until: float) -> NDArray[np.float32]:
    """Per row of the log: whether the user's next visit began within a day after this one; NaN while that is open."""
    answer = np.full(len(log), np.nan, np.float32)
    known = np.flatnonzero(log.user != ABSENT)
    if len(known) == 0:
        return answer
    order = known[np.lexsort((log.timestamp[known], log.user[known]))]
    user, moment = log.user[order], log.timestamp[order]
    ends = np.append((user[1:] != user[:-1]) | (np.diff(moment) > SESSION_GAP_S), True)
    last = np.flatnonzero(ends)
    end = moment[last]
    same = np.append(user[last[:-1] + 1] == user[last[:-1]], False)
    begins = np.where(same, np.append(moment[last[:-1] + 1], np.inf), np.inf)
    returned = np.where(end + RETURN_WINDOW_S <= until, begins - end <= RETURN_WINDOW_S, np.nan)
    visit = np.cumsum(ends) - ends
    answer[order] = returned[visit]
    return answer


def _followed(
    log: Interactions, catalogue: ContentTable, row: NDArray[np.int64], starts: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Positions (within `row`) of exposures that a follow without a content answers."""
    bare = np.flatnonzero(
        (log.event_type == CODE["follow"]) & (log.user != ABSENT) & (log.content == ABSENT) & (log.creator != ABSENT)
    )
    shown = np.flatnonzero(starts)
    if len(bare) == 0 or len(shown) == 0:
        return np.empty(0, np.int64)
    merged = np.r_[row[shown], bare]
    is_follow = np.arange(len(merged)) >= len(shown)
    order = np.lexsort((is_follow, log.timestamp[merged], log.user[merged]))
    last = last_at(~is_follow[order], log.user[merged[order]].astype(np.int64))
    asks = is_follow[order] & (last >= 0)
    follow, exposure = order[asks], order[last[asks]]
    creator_of = dict(zip(catalogue.content_id.tolist(), catalogue.creator_id.tolist(), strict=True))
    same = [
        creator_of.get(log.contents[content]) == log.creators[creator]
        for content, creator in zip(log.content[merged[exposure]], log.creator[merged[follow]], strict=True)
    ]
    soon = log.timestamp[merged[follow]] - log.timestamp[merged[exposure]] <= GESTURE_WINDOW_S
    answered: NDArray[np.int64] = shown[exposure[np.array(same, bool) & soon]]
    return answered
