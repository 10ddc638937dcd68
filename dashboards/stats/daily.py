"""One day of the log as rows per user: what every daily KPI is summed from.

Definitions follow the field's usage: a user is active who did anything but be shown something (an impression alone is
no activity); a session belongs to the day on which it starts; a click in an autoplay feed is a view of two seconds or
more, or any engagement.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from events.cleaning.schema import EVENT_TYPES
from events.cleaning.sessions import session_bounds, sessionize
from events.cleaning.watching import bounded_watch_s, is_showing
from events.columnar.interactions import ABSENT, Interactions

CLICK_WATCH_S = 2.0
ENGAGEMENTS = ("like", "comment", "share", "save", "follow")


@dataclass(frozen=True, slots=True)
class UserDays:
    """Per active or exposed user of one day; all columns have the same length n.

    `watch_s` in seconds, no longer than there was time for (`events.cleaning.watching`); the rest are counts.
    `impressions` are distinct (request, content); where an imported log knows no requests, (session, content).
    `clicked` and `engaged` count those of them that were followed by a click or an engagement, so both are at most
    `impressions`.
    """

    user_id: NDArray[np.object_]
    active: NDArray[np.bool_]
    impressions: NDArray[np.int64]
    clicked: NDArray[np.int64]
    engaged: NDArray[np.int64]
    views: NDArray[np.int64]
    completes: NDArray[np.int64]
    skips: NDArray[np.int64]
    negatives: NDArray[np.int64]
    sessions: NDArray[np.int64]
    watch_s: NDArray[np.float64]


def _is(log: Interactions, *names: str) -> NDArray[np.bool_]:
    return np.isin(log.event_type, [EVENT_TYPES.index(name) for name in names])


def _occasion(log: Interactions) -> NDArray[np.int64]:
    """What tells one showing of a content from the next: the request, else the client's session, else the day."""
    session = np.where(log.session != ABSENT, len(log.requests) + log.session.astype(np.int64), ABSENT)
    return np.where(log.request != ABSENT, log.request.astype(np.int64), session) + 1


def _occasions(log: Interactions) -> int:
    return len(log.requests) + len(log.sessions) + 1


def _shown(log: Interactions, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Distinct (user, occasion, content) among the chosen events, as one integer each."""
    rows = chosen & (log.content != ABSENT)
    key = log.user[rows].astype(np.int64) * _occasions(log) + _occasion(log)[rows]
    return np.unique(key * (len(log.contents) + 1) + log.content[rows] + 1)


def summarise_users(log: Interactions) -> UserDays:
    """Sum one day's events per user.

    Parameters
    ----------
    log : the events of the day, ordered by time

    Returns
    -------
    UserDays with one row per user of the log's vocabulary; an empty log gives empty columns.
    """
    users = len(log.users)
    per_key = (len(log.contents) + 1) * _occasions(log)
    shown = _shown(log, _is(log, "impression"))
    clicks = _shown(log, (_is(log, "view") & (log.watch_s >= CLICK_WATCH_S)) | _is(log, *ENGAGEMENTS, "complete_view"))
    engagements = _shown(log, _is(log, *ENGAGEMENTS))

    def count(chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(log.user[chosen], minlength=users)

    def count_keys(keys: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(keys // per_key, minlength=users)

    session = sessionize(log.user, log.timestamp)
    first = np.unique(session, return_index=True)[1]
    bounded = bounded_watch_s(log.user, log.timestamp, log.watch_s, showing=is_showing(log.event_type))
    watched = np.where(_is(log, "view", "skip"), np.nan_to_num(bounded), 0.0)
    return UserDays(
        user_id=log.users,
        active=count(~_is(log, "impression", "content_upload")) > 0,
        impressions=count_keys(shown),
        clicked=count_keys(np.intersect1d(shown, clicks, assume_unique=True)),
        engaged=count_keys(np.intersect1d(shown, engagements, assume_unique=True)),
        views=count(_is(log, "view")),
        completes=count(_is(log, "complete_view")),
        skips=count(_is(log, "skip")),
        negatives=count(_is(log, "hide", "report")),
        sessions=np.bincount(log.user[first], minlength=users),
        watch_s=np.bincount(log.user, weights=watched, minlength=users).astype(np.float64),
    )


def session_durations(log: Interactions) -> NDArray[np.float64]:
    """Length of every session of the log in seconds, in no particular order."""
    return session_bounds(sessionize(log.user, log.timestamp), log.timestamp, log.watch_s)[1]
