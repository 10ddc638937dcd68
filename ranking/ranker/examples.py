"""What the ranker learns from: one labelled example per exposure, split by time.

An exposure is an impression, or a view or skip of a content that has had neither in the window before it, so that a
host app that reports no impressions still trains a model. What the user then did with that content within the window
decides the label:

    0 s    impression of c1         label 1: watched 19 s (>= 18 s) within ten minutes
    19 s   view of c1, 19 s
    20 s   impression of c2         label 0: skipped
    21 s   skip of c2, 1 s
    25 s   impression of c3         label 0: the hide outweighs the like
    30 s   like of c3
    40 s   hide of c3

Exposures whose window is still open at the end of the log are left out: calling them negative would teach the model
that the newest contents are bad. The split is strict: training labels are complete before the cut, and test exposures
come at or after it.

Not here: the features of an example (`features.extraction`), and weights or negatives that were never shown.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from events.columnar.interactions import ABSENT, ContentTable, Interactions
from features.extraction.definitions import SESSION_GAP_S
from features.extraction.engagement import CODE, EXPOSING, PLEASED, is_long_view, kinds, still_refused

LABEL_WINDOW_S = 600.0
"""Ten minutes: longer than nearly every clip, short enough that a model trained now knows the last hour."""

_PLEASED = PLEASED | kinds("follow")


@dataclass(frozen=True, slots=True)
class FeatureMatrix:
    """Features of n examples in the three blocks of the network, all float32."""

    user: NDArray[np.float32]
    content: NDArray[np.float32]
    context: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.content)

    def rows(self, index: NDArray[np.int64] | NDArray[np.bool_] | slice) -> "FeatureMatrix":
        """The chosen rows, in the order of the index."""
        return FeatureMatrix(self.user[index], self.content[index], self.context[index])


@dataclass(frozen=True, slots=True)
class Examples:
    """Labelled exposures in order of time; all columns have the same length n.

    Attributes
    ----------
    user, content : int32 arrays, codes into the vocabularies of the log they come from
    timestamp : float64 array, seconds since 1970 UTC, the moment of the exposure
    moment : float64 array, seconds since 1970 UTC, when the ranker knew what it knew: the first exposure of the same
        answered request, because a page is ranked at once; the exposure itself where the log names no request
    request : int32 array, code of the answered request in the log's vocabulary, `ABSENT` where it names none
    surface : object array of str, where it was shown, "" where the log does not say
    label : int8 array, 1 for a satisfied watch or a positive act, else 0
    session : int64 array, one number per user and visit (30 minutes without an exposure end it)
    """

    user: NDArray[np.int32]
    content: NDArray[np.int32]
    timestamp: NDArray[np.float64]
    moment: NDArray[np.float64]
    request: NDArray[np.int32]
    surface: NDArray[np.object_]
    label: NDArray[np.int8]
    session: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.label)

    def rows(self, index: NDArray[np.int64] | NDArray[np.bool_] | slice) -> "Examples":
        """The chosen examples, in the order of the index."""
        return Examples(
            user=self.user[index],
            content=self.content[index],
            timestamp=self.timestamp[index],
            moment=self.moment[index],
            request=self.request[index],
            surface=self.surface[index],
            label=self.label[index],
            session=self.session[index],
        )


def label_exposures(
    log: Interactions, catalogue: ContentTable, *, until: float, window_s: float = LABEL_WINDOW_S
) -> Examples:
    """One example per exposure whose window closed at or before `until` (seconds since 1970 UTC).

    Outcomes belong to the last exposure of the same user to the same content before them; a follow that names no
    content belongs to the user's last exposure if that was of this creator. `unlike`, `unsave` and `unfollow` change
    nothing: the satisfaction was there.

    What a long view is stands in `features.extraction.engagement`.
    """
    row = np.flatnonzero((log.user != ABSENT) & (log.content != ABSENT))
    pair = log.user[row].astype(np.int64) * len(log.contents) + log.content[row]
    # At one moment the exposure comes first (code 0 is the impression), so that its outcome finds it.
    order = np.lexsort((log.event_type[row], log.timestamp[row], pair))
    row, pair = row[order], pair[order]
    kind, moment = log.event_type[row], log.timestamp[row]

    exposing = EXPOSING[kind]
    previous = _last_before(exposing, pair)
    since = np.where(previous >= 0, moment - moment[previous], np.inf)
    starts = (kind == CODE["impression"]) | (exposing & (since > window_s))
    exposure = _last_at(starts, pair)
    within = (exposure >= 0) & (moment - moment[exposure] <= window_s)

    pleased = _PLEASED[kind] | _long_views(log, catalogue, row)
    positive, negative = np.zeros(len(row), bool), np.zeros(len(row), bool)
    positive[exposure[within & pleased]] = True
    negative[exposure[within & still_refused(kind, pair)]] = True
    positive[_followed(log, catalogue, row, starts, window_s)] = True

    chosen = np.flatnonzero(starts & (moment + window_s <= until))
    chosen = chosen[np.argsort(moment[chosen], kind="stable")]
    user = log.user[row[chosen]]
    return Examples(
        user=user,
        content=log.content[row[chosen]],
        timestamp=moment[chosen],
        moment=_request_moments(log.request[row[chosen]], user, moment[chosen]),
        request=log.request[row[chosen]],
        surface=np.append(log.surfaces, "").astype(object)[log.surface[row[chosen]]],
        label=(positive & ~negative)[chosen].astype(np.int8),
        session=sessions(user, moment[chosen]),
    )


def sessions(user: NDArray[np.int32], timestamp: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number the visits: a new one starts with another user or after more than 30 minutes.

    >>> sessions(np.array([7, 9, 7, 7], np.int32), np.array([0.0, 5.0, 1800.0, 3601.0])).tolist()
    [0, 2, 0, 1]
    """
    if len(user) == 0:
        return np.empty(0, np.int64)
    order = np.lexsort((timestamp, user))
    by_user, by_time = user[order], timestamp[order]
    new = np.r_[False, (by_user[1:] != by_user[:-1]) | (np.diff(by_time) > SESSION_GAP_S)]
    numbers = np.empty(len(user), np.int64)
    numbers[order] = np.cumsum(new)
    return numbers


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """Two masks over examples in order of time, and the cut between them in seconds since 1970 UTC."""

    train: NDArray[np.bool_]
    test: NDArray[np.bool_]
    cut: float


def split_by_time(timestamp: NDArray[np.float64], *, test_share: float, window_s: float = LABEL_WINDOW_S) -> TimeSplit:
    """The newest `test_share` of the examples for testing, those whose window closed before them for training.

    >>> split = split_by_time(np.array([0.0, 300.0, 900.0, 1000.0]), test_share=0.25)
    >>> split.train.tolist(), split.test.tolist(), split.cut
    ([True, True, False, False], [False, False, False, True], 1000.0)
    """
    if not 0 < test_share < 1:
        raise ValueError(f"test_share must lie between 0 and 1, got {test_share}")
    if len(timestamp) == 0:
        nothing = np.empty(0, bool)
        return TimeSplit(nothing, nothing, 0.0)
    cut = float(timestamp[min(int(len(timestamp) * (1 - test_share)), len(timestamp) - 1)])
    return TimeSplit(timestamp + window_s <= cut, timestamp >= cut, cut)


def _request_moments(
    request: NDArray[np.int32], user: NDArray[np.int32], timestamp: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The earliest timestamp of the same user and request; its own where there is no request."""
    moments = timestamp.copy()
    asked = np.flatnonzero(request != ABSENT)
    page = np.unique(np.stack([request[asked], user[asked]]), axis=1, return_inverse=True)[1]
    first = np.full(len(asked), np.inf)
    np.minimum.at(first, page, timestamp[asked])
    moments[asked] = first[page]
    return moments


def _last_at(mark: NDArray[np.bool_], group: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each row the last marked row at or before it in its group, -1 for none; groups are contiguous."""
    return _within_group(_running_last(mark), group)


def _last_before(mark: NDArray[np.bool_], group: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same, strictly before it."""
    return _within_group(np.r_[np.int64(-1), _running_last(mark)][: len(mark)], group)


def _running_last(mark: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.maximum.accumulate(np.where(mark, np.arange(len(mark)), -1))


def _within_group(last: NDArray[np.int64], group: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where((last >= 0) & (group[last] == group), last, -1)


def _long_views(log: Interactions, catalogue: ContentTable, row: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows are long views."""
    duration_of = dict(zip(catalogue.content_id.tolist(), catalogue.duration_s.tolist(), strict=True))
    durations = np.array([duration_of.get(content, np.nan) for content in log.contents.tolist()], np.float32)
    return is_long_view(log.event_type[row], log.watch_s[row], log.long_view[row], durations[log.content[row]])


def _followed(
    log: Interactions, catalogue: ContentTable, row: NDArray[np.int64], starts: NDArray[np.bool_], window_s: float
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
    last = _last_at(~is_follow[order], log.user[merged[order]].astype(np.int64))
    asks = is_follow[order] & (last >= 0)
    follow, exposure = order[asks], order[last[asks]]
    creator_of = dict(zip(catalogue.content_id.tolist(), catalogue.creator_id.tolist(), strict=True))
    same = [
        creator_of.get(log.contents[content]) == log.creators[creator]
        for content, creator in zip(log.content[merged[exposure]], log.creator[merged[follow]], strict=True)
    ]
    soon = log.timestamp[merged[follow]] - log.timestamp[merged[exposure]] <= window_s
    answered: NDArray[np.int64] = shown[exposure[np.array(same, bool) & soon]]
    return answered
