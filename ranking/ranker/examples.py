"""What the ranker learns from: one labelled example per exposure, split by time.

An exposure is an impression, or a view or skip of a content that has had neither in the ten minutes before it, so that
a host app that reports no impressions still trains a model. What the user then did with that content decides its
labels, one per head (`outcomes`).

Exposures of the last ten minutes of the log are left out: calling them negative would teach the model that the newest
contents are bad. The split is strict: training labels know nothing after the cut, and test exposures come at or after
it.

Not here: the features of an example (`features.extraction`), and weights or negatives that were never shown.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from events.columnar.interactions import ABSENT, ContentTable, Interactions
from features.extraction.definitions import SESSION_GAP_S
from features.extraction.engagement import CODE, EXPOSING
from ranking.ranker import outcomes
from ranking.ranker.heads import LABEL_WINDOW_S, Labels


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
    position : int16 array, where in its feed it stood, `ABSENT` where the log does not say
    labels : what came of it, per head
    session : int64 array, one number per user and visit (30 minutes without an exposure end it)
    """

    user: NDArray[np.int32]
    content: NDArray[np.int32]
    timestamp: NDArray[np.float64]
    moment: NDArray[np.float64]
    request: NDArray[np.int32]
    surface: NDArray[np.object_]
    position: NDArray[np.int16]
    labels: Labels
    session: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.user)

    @property
    def label(self) -> NDArray[np.int8]:
        """1 for a satisfied watch or a positive gesture without a refusal, else 0; int8 (n,)."""
        return self.labels.satisfied

    def rows(self, index: NDArray[np.int64] | NDArray[np.bool_] | slice) -> "Examples":
        """The chosen examples, in the order of the index."""
        return Examples(
            user=self.user[index],
            content=self.content[index],
            timestamp=self.timestamp[index],
            moment=self.moment[index],
            request=self.request[index],
            surface=self.surface[index],
            position=self.position[index],
            labels=self.labels.rows(index),
            session=self.session[index],
        )


def label_exposures(log: Interactions, catalogue: ContentTable, *, until: float) -> Examples:
    """One example per exposure whose ten minutes were over at `until` (seconds since 1970 UTC), as known then.

    Events after `until` are not looked at. What a long view is stands in `features.extraction.engagement`.
    """
    log = log.rows(slice(0, int(np.searchsorted(log.timestamp, until, side="right"))))
    row = np.flatnonzero((log.user != ABSENT) & (log.content != ABSENT))
    pair = log.user[row].astype(np.int64) * len(log.contents) + log.content[row]
    # At one moment the exposure comes first (code 0 is the impression), so that its outcome finds it.
    order = np.lexsort((log.event_type[row], log.timestamp[row], pair))
    row, pair = row[order], pair[order]
    kind, moment = log.event_type[row], log.timestamp[row]

    exposing = EXPOSING[kind]
    previous = outcomes.last_before(exposing, pair)
    since = np.where(previous >= 0, moment - moment[previous], np.inf)
    starts = (kind == CODE["impression"]) | (exposing & (since > LABEL_WINDOW_S))
    answers = outcomes.Answers(row, pair, outcomes.last_at(starts, pair))
    chosen = np.flatnonzero(starts & (moment + LABEL_WINDOW_S <= until))
    chosen = chosen[np.argsort(moment[chosen], kind="stable")]
    user = log.user[row[chosen]]
    return Examples(
        user=user,
        content=log.content[row[chosen]],
        timestamp=moment[chosen],
        moment=_request_moments(log.request[row[chosen]], user, moment[chosen]),
        request=log.request[row[chosen]],
        surface=np.append(log.surfaces, "").astype(object)[log.surface[row[chosen]]],
        position=log.position[row[chosen]],
        labels=outcomes.label(log, catalogue, answers, starts, chosen, until=until),
        session=sessions(user, moment[chosen]),
    )


def known_at(
    examples: Examples, log: Interactions, catalogue: ContentTable, *, places: NDArray[np.int64], until: float
) -> Examples:
    """The examples with the labels that were known at an earlier moment; what was no example yet keeps its own.

    Parameters
    ----------
    places : int64 array (n,), of each example among all that `label_exposures` made of this log, in order of time
    until : seconds since 1970 UTC, at or before that of the examples
    """
    earlier = label_exposures(log, catalogue, until=until).labels
    # Whether an event is an exposure depends on what came before it, so the earlier examples are the first of all.
    then = places < len(earlier)
    heads, watch_s = examples.labels.heads.copy(), examples.labels.watch_s.copy()
    heads[then], watch_s[then] = earlier.heads[places[then]], earlier.watch_s[places[then]]
    return replace(examples, labels=Labels(heads, watch_s))


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
