"""One day of the log as sums per hour and breakdown, sets of users, and exposure of contents.

Definitions follow the field's usage. An impression is one (request, content) of a user, however often it is reported;
where a log knows no requests, one (session, content). It is clicked if a view of two seconds or an engagement follows
for the same request and content, so a rate never exceeds one; clicks without an impression are counted apart.
Durations are whole milliseconds: sums of them do not depend on the order of events.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboards.stats.measures import (
    CLICK_WATCH_S,
    ENGAGED_SESSION_MS,
    ENGAGED_SESSION_VIEWS,
    ENGAGEMENTS,
    KEY_EVENTS,
    LONG_SESSION_MS,
    OF_EVENTS,
    OF_KIND,
    OF_SESSIONS,
    PASSIVE,
    REFUSALS,
    codes,
)
from events.cleaning.schema import EVENT_TYPES
from events.cleaning.watching import SLACK_S, is_showing

_KINDS: Final = len(EVENT_TYPES)
_ABSENT: Final = -1
_DAY_BITS: Final = 37
"""Microseconds of the longest day fit into so many bits."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """What events are broken down by: codes int64 (n,) into `values`; the value "" stands for none."""

    code: NDArray[np.int64]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DayLog:
    """A day's events of people, ordered by time; columns of length n.

    Attributes
    ----------
    kind, user, content, request, session : codes as in `events.activity_log.Activity`
    at, watch_s : seconds, as there
    hour : int64 array, which hour of the day
    night : bool array (hours of the day,)
    users, contents, requests, sessions : how many there are of each
    """

    kind: NDArray[np.uint8]
    user: NDArray[np.int32]
    content: NDArray[np.int32]
    request: NDArray[np.int32]
    session: NDArray[np.int32]
    at: NDArray[np.float64]
    watch_s: NDArray[np.float64]
    hour: NDArray[np.int64]
    night: NDArray[np.bool_]
    users: int
    contents: int
    requests: int
    sessions: int


@dataclass(frozen=True, slots=True)
class VisitLog:
    """Sessions that start on the day: user (code of `DayLog`), hour, start in seconds, length in ms, views; (s,)."""

    user: NDArray[np.int64]
    hour: NDArray[np.int64]
    at: NDArray[np.float64]
    duration_ms: NDArray[np.int64]
    views: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sums:
    """Measures by hour and value of one dimension; all (h, v, ...) where v is the number of its values.

    Attributes
    ----------
    of_events : int64 array (h, v, len(OF_EVENTS))
    of_sessions : int64 array (h, v, len(OF_SESSIONS)); zero for dimensions that a session has no value of
    users, publishers : int64 arrays (h, v), distinct in the hour
    user_sets, publisher_sets : who they are over the day, by value
    """

    of_events: NDArray[np.int64]
    of_sessions: NDArray[np.int64]
    users: NDArray[np.int64]
    publishers: NDArray[np.int64]
    user_sets: tuple[NDArray[np.int64], ...]
    publisher_sets: tuple[NDArray[np.int64], ...]


@dataclass(frozen=True, slots=True)
class Exposure:
    """Contents that were shown: int64 arrays (c,) of codes ascending, impressions, and the first one in seconds."""

    content: NDArray[np.int64]
    impressions: NDArray[np.int64]
    first_s: NDArray[np.float64]


class Day:
    """A day that was looked at once, to be summed by several dimensions."""

    def __init__(self, log: DayLog) -> None:
        self._log = log
        n = len(log.kind)
        self._watch_ms = self._bounded_ms()
        self.active = ~np.isin(log.kind, codes(*PASSIVE))
        shown = np.flatnonzero((log.kind == EVENT_TYPES.index("impression")) & (log.content != _ABSENT))
        self.keys, first = first_of(self._keys(shown))
        self.shown = shown[first]
        engagement = np.isin(log.kind, codes(*ENGAGEMENTS))
        click = engagement | (log.kind == EVENT_TYPES.index("complete_view"))
        click |= (log.kind == EVENT_TYPES.index("view")) & (log.watch_s >= CLICK_WATCH_S)
        clicks = np.flatnonzero(click & (log.content != _ABSENT))
        click_keys, place = first_of(self._keys(clicks))
        known = _found(click_keys, self.keys)
        self.unattributed = clicks[place[~known]]
        self._clicked = self.shown[_found(self.keys, click_keys)]
        self._engagements = first_of(self._keys(np.flatnonzero(engagement & (log.content != _ABSENT))))[0]
        self._engaged = self.shown[_found(self.keys, self._engagements)]
        self._regretted_ms = self._regretted() if n else self._watch_ms

    def sums(self, by: Dimension) -> Sums:
        """What happened by hour and value; sessions are added by `session_sums`."""
        log, width = self._log, len(by.values)
        hours = len(log.night)
        cells = hours * width
        group = log.hour * width + by.code
        found = self._event_sums(group, cells)
        users, user_sets = self._distinct(self.active, group, by, cells)
        uploads = log.kind == EVENT_TYPES.index("content_upload")
        publishers, publisher_sets = self._distinct(uploads, group, by, cells)
        shape = hours, width
        return Sums(
            found.reshape(*shape, -1), np.zeros((*shape, len(OF_SESSIONS)), np.int64), users.reshape(shape),
            publishers.reshape(shape), user_sets, publisher_sets,
        )  # fmt: skip

    def user_sums(self, visits: VisitLog) -> NDArray[np.int64]:
        """What each user did over the day, int64 (len(MEASURES), users); `users` and `publishers` are 0 or 1."""
        log = self._log
        events = self._event_sums(log.user.astype(np.int64), log.users)
        visited = self._visit_sums(visits, visits.user, log.users)
        uploads = log.kind == EVENT_TYPES.index("content_upload")
        flags = [np.bincount(log.user[rows], minlength=log.users) > 0 for rows in (self.active, uploads)]
        return np.concatenate([events.T, visited.T, np.stack(flags)]).astype(np.int64)

    def _event_sums(self, group: NDArray[np.int64], cells: int) -> NDArray[np.int64]:
        """Measures of events by cell, int64 (cells, len(OF_EVENTS)); `group` is the cell of each event."""
        log = self._log
        counts = np.bincount(group * _KINDS + log.kind, minlength=cells * _KINDS).reshape(cells, _KINDS)
        found = np.zeros((cells, len(OF_EVENTS)), np.int64)
        found[:, 0] = counts.sum(axis=1)
        found[:, 1 : 1 + len(OF_KIND)] = counts[:, codes(*OF_KIND.values())]
        for place, rows in enumerate((self.shown, self._clicked, self._engaged, self.unattributed), 1 + len(OF_KIND)):
            found[:, place] = np.bincount(group[rows], minlength=cells)
        watched = np.flatnonzero(self._watch_ms)
        ms, of_cell = self._watch_ms[watched], group[watched]
        night = log.night[log.hour[watched]]
        # Weights are whole numbers below 2^53, so these sums are exact in any order.
        for place, weights in enumerate((ms, ms * night, self._regretted_ms[watched]), 5 + len(OF_KIND)):
            found[:, place] = np.bincount(of_cell, weights=weights, minlength=cells)
        return found

    def watch_ms(self) -> NDArray[np.int64]:
        """What each active user watched, ascending."""
        log = self._log
        total = np.bincount(log.user, weights=self._watch_ms, minlength=log.users).astype(np.int64)
        return np.sort(total[np.bincount(log.user[self.active], minlength=log.users) > 0])

    def exposure(self) -> Exposure:
        """How often each content was shown, and when first."""
        content, at = self._log.content[self.shown], self._log.at[self.shown]
        impressions = np.bincount(content, minlength=self._log.contents)
        first_s = np.full(self._log.contents, np.inf)
        np.minimum.at(first_s, content, at)
        contents = np.flatnonzero(impressions)
        return Exposure(contents, impressions[contents], first_s[contents])

    def engaged_keys(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of some rows whose (user, request, content) has an engagement."""
        return rows[np.isin(self._keys(rows), self._engagements)]

    def session_sums(self, visits: VisitLog, by: Dimension | None) -> NDArray[np.int64]:
        """Measures of sessions by hour and value, int64 (h, v, len(OF_SESSIONS)); `by` has one code per session."""
        width = len(by.values) if by else 1
        group = visits.hour * width + (by.code if by else 0)
        cells = len(self._log.night) * width
        return self._visit_sums(visits, group, cells).reshape(len(self._log.night), width, len(OF_SESSIONS))

    def _visit_sums(self, visits: VisitLog, group: NDArray[np.int64], cells: int) -> NDArray[np.int64]:
        engaged = (
            (visits.duration_ms > ENGAGED_SESSION_MS) | (visits.views >= ENGAGED_SESSION_VIEWS) | self._keyed(visits)
        )
        weights: tuple[NDArray[np.generic], ...] = (
            np.ones(len(group), np.int64), visits.duration_ms, visits.duration_ms > 0, engaged,
            visits.duration_ms > LONG_SESSION_MS, visits.views,
        )  # fmt: skip
        found = np.stack([np.bincount(group, weights=each, minlength=cells) for each in weights], axis=1)
        return found.astype(np.int64)

    def _bounded_ms(self) -> NDArray[np.int64]:
        """Watched milliseconds: at most the longer of the pauses to the showings around, as `events.cleaning.watching`.

        Showings of one moment are one, so the order of what happened at once does not matter.
        """
        log = self._log
        base = float(log.at[0]) if len(log.at) else 0.0
        moment = (log.user.astype(np.int64) << _DAY_BITS) | np.rint((log.at - base) * 1e6).astype(np.int64)
        moments = distinct(moment[is_showing(log.kind)])
        pauses = np.full(len(moments) + 1, np.inf)
        if len(moments):
            same = (moments[1:] >> _DAY_BITS) == (moments[:-1] >> _DAY_BITS)
            pauses[1:-1] = np.where(same, np.diff(moments) / 1e6, np.inf)
        longer = np.maximum(pauses[:-1], pauses[1:]) + SLACK_S
        found = np.zeros(len(log.kind), np.int64)
        watched = np.flatnonzero(np.isin(log.kind, codes("view", "skip")) & (log.watch_s > 0))
        bound = longer[np.searchsorted(moments, moment[watched])]
        found[watched] = np.rint(np.minimum(log.watch_s[watched], bound) * 1e3)
        return found

    def _keys(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(user, occasion, content) of some rows as one integer each."""
        log = self._log
        session = np.where(log.session[rows] != _ABSENT, log.requests + log.session[rows].astype(np.int64), _ABSENT)
        occasion = np.where(log.request[rows] != _ABSENT, log.request[rows].astype(np.int64), session) + 1
        occasions = log.requests + log.sessions + 1
        if log.users * occasions * log.contents >= 2**62:
            raise OverflowError(f"{log.users} users, {occasions} occasions and {log.contents} contents in one day")
        keys: NDArray[np.int64] = (log.user[rows] * np.int64(occasions) + occasion) * np.int64(log.contents)
        return keys + log.content[rows]

    def _regretted(self) -> NDArray[np.int64]:
        """Of each watch, what the user regretted by hiding or reporting the content afterwards, on the same day."""
        log = self._log
        refusals = np.flatnonzero(np.isin(log.kind, codes(*REFUSALS)) & (log.content != _ABSENT))
        regretted = np.zeros(len(log.kind), np.int64)
        if not len(refusals):
            return regretted
        pair = log.user * np.int64(log.contents) + log.content
        pairs, place = np.unique(pair[refusals], return_inverse=True)
        last = np.full(len(pairs), -np.inf)
        np.maximum.at(last, place, log.at[refusals])
        watched = np.flatnonzero((self._watch_ms > 0) & (log.content != _ABSENT))
        at = np.minimum(np.searchsorted(pairs, pair[watched]), len(pairs) - 1)
        hit = (pairs[at] == pair[watched]) & (last[at] >= log.at[watched])
        regretted[watched[hit]] = self._watch_ms[watched[hit]]
        return regretted

    def _distinct(
        self, chosen: NDArray[np.bool_], group: NDArray[np.int64], by: Dimension, cells: int
    ) -> tuple[NDArray[np.int64], tuple[NDArray[np.int64], ...]]:
        """Users of the chosen events: how many in each cell, and who over the day by value."""
        log, width = self._log, len(by.values)
        rows = np.flatnonzero(chosen)
        users = np.int64(max(log.users, 1))
        pairs = distinct(group[rows] * users + log.user[rows])
        per_cell = np.bincount(pairs // users, minlength=cells)
        of_day = np.zeros((width, log.users), np.bool_)
        of_day[(pairs // users) % width, pairs % users] = True
        return per_cell, tuple(np.flatnonzero(row) for row in of_day)

    def _keyed(self, visits: VisitLog) -> NDArray[np.bool_]:
        """Sessions in which the user did something that counts by itself."""
        log = self._log
        rows = np.flatnonzero(np.isin(log.kind, codes(*KEY_EVENTS)))
        order = rows[np.lexsort((log.at[rows], log.user[rows]))]
        # One axis for users and time: a day is less than the span that lies between two users.
        span = 1e6
        base = float(log.at[0]) if len(log.at) else 0.0
        marks = log.user[order] * span + (log.at[order] - base)
        start = visits.user * span + (visits.at - base)
        end = start + np.minimum(visits.duration_ms / 1e3, 90_000.0) + 1e-3
        keyed: NDArray[np.bool_] = np.searchsorted(marks, end, "right") > np.searchsorted(marks, start - 1e-3)
        return keyed


def distinct(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """The distinct keys, ascending."""
    ordered: NDArray[np.int64] = np.sort(keys)
    found: NDArray[np.int64] = ordered[np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]]
    return found


def first_of(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct keys, ascending, and where each comes first.

    Key and place are sorted as one integer where both fit: sorting values is several times faster than sorting places.

    >>> first_of(np.array([7, 3, 7]))
    (array([3, 7]), array([1, 0]))
    """
    bits = max(len(keys) - 1, 1).bit_length()
    if len(keys) and int(keys.max()).bit_length() + bits > 62:
        return np.unique(keys, return_index=True)
    both = np.sort((keys << bits) | np.arange(len(keys)))
    ordered = both >> bits
    starts = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
    return ordered[starts], both[starts] & ((1 << bits) - 1)


def _found(keys: NDArray[np.int64], among: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of some ascending keys are among others, also ascending."""
    if not len(among):
        return np.zeros(len(keys), np.bool_)
    place = np.minimum(np.searchsorted(among, keys), len(among) - 1)
    found: NDArray[np.bool_] = among[place] == keys
    return found


def rows_of(sums: Mapping[str, tuple[tuple[str, ...], Sums]]) -> Iterator[tuple[str, int, str, NDArray[np.int64]]]:
    """Cells with anything in them: dimension, hour (-1 for the whole day), value, and measures in their order."""
    for name, (values, found) in sums.items():
        additive = np.concatenate([found.of_events, found.of_sessions], axis=2)
        hourly = np.concatenate([additive, found.users[:, :, None], found.publishers[:, :, None]], axis=2)
        whole = np.stack([
            np.array([len(each) for each in found.user_sets]), np.array([len(each) for each in found.publisher_sets])
        ], axis=1)  # fmt: skip
        daily = np.concatenate([additive.sum(axis=0), whole], axis=1)
        for code in np.flatnonzero(daily.any(axis=1)).tolist():
            yield name, -1, values[code], daily[code]
            for hour in np.flatnonzero(hourly[:, code].any(axis=1)).tolist():
                yield name, hour, values[code], hourly[hour, code]
