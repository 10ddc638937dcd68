"""Which contents, tags, creators and categories rise beyond their own past and beyond the hour.

The log is cut into hours; per hour and thing the engaged people are counted, each once however often they act. What is
judged is a window of two hours, the one that runs and the one before it, so that a new hour does not begin with an
empty list. A thing is compared with itself by its share of all people who engage with anything in the same window:
when everything doubles at eight in the evening, no share moves.

    e_w = rho * N_w                      people expected in a window with N_w people, rho the pooled share in the past
    y_w = ln((n_w + 3) / (e_w + 3))      how far off that was; three people more keep small numbers quiet
    z   = (y - median(y_past)) / scale   scale from the median absolute deviation of y_past

Three pasts are looked at: the last 24 windows, the same hour of the day for four weeks, the same hour of the week (one
hour around it) for four weeks. The smallest z counts, so what comes back every evening or every Friday is no trend. A
thing that is known for less than twelve windows has no past; it is compared with an ordinary thing of its kind.

A trend has `z >= BAR` and at least `LEAST_PEOPLE` people within one hour. It ends by itself: after half a day at the
new level, the new level is what is usual.

Method: the robust z-score of Iglewicz and Hoaglin (1993), on logarithms because engagement multiplies. This is the
source design's `detect_trends`. Nothing here reads a store or a clock.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from events.cleaning.schema import EVENT_TYPES
from events.columnar.interactions import Interactions
from features.extraction.engagement import PLEASED, is_long_view, kinds

HOUR_S: Final = 3600
BAR: Final = 3.5
LEAST_PEOPLE: Final = 12
"""In the busier hour of the window. Fewer people are friends, or one person with several accounts."""
PAST_HOURS: Final = 28 * 24
RECENT: Final = 24
LEAST_RECENT: Final = 12
LEAST_DAYS: Final = 7
LEAST_WEEKS: Final = 9
"""Of the twelve windows around the same hour of four weeks: three weeks."""
AWAKE: Final = 10
"""A window with fewer people on the whole platform says nothing of anybody's share."""
PRIOR_PEOPLE: Final = 3.0
PRIOR_SPREAD: Final = 0.5
"""Spread of ln(share) of a thing nobody knows yet: two things of a kind differ by a factor of 1.65."""
PRIOR_WINDOWS: Final = 2.0
MAD_TO_SIGMA: Final = 1.4826
"""Of a normal distribution."""

AGAINST: Final = ("an ordinary one", "the last day", "the hour of the day", "the hour of the week")
"""What an expectation was made of, by its code."""

_DELIBERATE: Final = PLEASED | kinds("follow")
ENGAGING_TYPES: Final = tuple(name for name, may in zip(EVENT_TYPES, _DELIBERATE | kinds("view"), strict=True) if may)
"""Event types that can say that somebody engaged; a view does when it is long."""


@dataclass(frozen=True, slots=True)
class HourCounts:
    """Engaged people per hour and thing, for pairs with any; ordered by (hour, thing).

    Attributes
    ----------
    hour : int64 array (c,), hours since 1970 UTC
    thing : int64 array (c,), codes given by the caller
    people : int64 array (c,)
    """

    hour: NDArray[np.int64]
    thing: NDArray[np.int64]
    people: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Judgement of the last window of m things.

    Attributes
    ----------
    z : float64 array (m,)
    observed, expected : float64 arrays (m,), people in the hours of the window, added up
    low, high : float64 arrays (m,), the window is unusual outside of them; z reaches `BAR` at `high`
    people : int64 array (m,), people in the busier hour
    against : int64 array (m,), positions in `AGAINST`
    """

    z: NDArray[np.float64]
    observed: NDArray[np.float64]
    expected: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    people: NDArray[np.int64]
    against: NDArray[np.int64]

    @property
    def trending(self) -> NDArray[np.bool_]:
        """Which things trend, bool (m,)."""
        return (self.z >= BAR) & (self.people >= LEAST_PEOPLE)


def engaged(log: Interactions, *, duration_s: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which events are engagement: a long view, complete view, replay, like, comment, share, save or follow.

    Parameters
    ----------
    duration_s : float32 array, by code of `log.contents`; NaN where unknown
    """
    # The code ABSENT is -1 and reads the appended entry.
    duration = np.append(duration_s, np.float32(np.nan))[log.content]
    long = is_long_view(log.event_type, log.watch_s, log.long_view, duration)
    return np.asarray(_DELIBERATE[log.event_type] | long, np.bool_)


def count_people(
    hour: NDArray[np.int64], user: NDArray[np.int64], thing: NDArray[np.int64] | NDArray[np.int32]
) -> HourCounts:
    """People per hour and thing, each counted once; rows with a negative thing or user are left out.

    >>> hour, user, thing = np.array([5, 5, 5, 6]), np.array([1, 1, 2, 1]), np.array([0, 0, 0, 0])
    >>> count_people(hour, user, thing).people.tolist()
    [2, 1]
    """
    keep = np.flatnonzero((thing >= 0) & (user >= 0))
    if len(keep) == 0:
        nothing = np.empty(0, np.int64)
        return HourCounts(nothing, nothing, nothing)
    hour, user, thing = hour[keep], user[keep].astype(np.int64), thing[keep].astype(np.int64)
    first, things, users = int(hour.min()), int(thing.max()) + 1, int(user.max()) + 1
    cells = np.unique(((hour - first) * things + thing) * users + user) // users
    cell, people = np.unique(cells, return_counts=True)
    return HourCounts(cell // things + first, cell % things, people.astype(np.int64))


def windows_of(per_hour: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums over each hour and the one before it, float64, of the same shape; hours are the last axis.

    >>> windows_of(np.array([1, 2, 5])).tolist()
    [1.0, 3.0, 7.0]
    """
    total = per_hour.astype(np.float64)
    total[..., 1:] += per_hour[..., :-1]
    return total


def ordinary_share(
    people: NDArray[np.int64], things: NDArray[np.int64], platform: NDArray[np.int64], *, at: int
) -> float:
    """Share of all engaged people that an ordinary thing of a kind has: the mean of those touched in the last day.

    Parameters
    ----------
    people : int array (h,), people of the things of the kind, added up over them
    things : int array (h,), how many things had any
    platform : int array (h,), people who engaged with anything
    at : column of the last hour; the two hours of its window are left out while there are others

    >>> ordinary_share(np.array([6, 9, 90, 90]), np.array([3, 3, 1, 1]), np.array([10, 20, 100, 100]), at=3)
    0.166...
    """
    past = np.flatnonzero(platform[: max(at - 1, 0)])[-RECENT:]
    if len(past) == 0:
        past = np.flatnonzero(platform[: at + 1])
    if len(past) == 0 or things[past].sum() == 0:
        return 0.0
    return float(people[past].sum() / things[past].sum() / platform[past].mean())


def judge(people: NDArray[np.int64], platform: NDArray[np.int64], *, ordinary: float) -> Verdicts:
    """Compare the last window of things with what was to be expected.

    Parameters
    ----------
    people : int array (m, h), engaged people per thing and hour; the last column is the hour that runs
    platform : int array (h,), people who engaged with anything
    ordinary : see `ordinary_share`

    Returns
    -------
    verdicts of m things. An hour in which nobody did anything expects nobody.
    """
    m, hours = people.shape
    n, big_n = windows_of(people), windows_of(platform)
    known = (np.cumsum(people, axis=1) > 0) & (big_n >= AWAKE)
    now = n[:, -1], big_n[-1]
    base = ordinary * now[1]
    best = _compare(now[0], np.full(m, base), np.zeros(m), np.full(m, PRIOR_SPREAD))
    against = np.zeros(m, np.int64)
    settled = np.zeros(m, np.bool_)
    for code, (columns, least) in enumerate(_pasts(hours, big_n), start=1):
        use = known[:, columns]
        rows = np.flatnonzero((use.sum(axis=1) >= least) & (settled | (code == 1)))
        if len(rows) == 0:
            continue
        found = _against_past(n[rows][:, columns], big_n[columns], use[rows], now[0][rows], now[1], ordinary)
        # The first past replaces the ordinary thing, the others only lower z.
        better = rows[(found[0] < best[0][rows]) | (code == 1)]
        place = np.searchsorted(rows, better)
        for mine, theirs in zip(best, found, strict=True):
            mine[better] = theirs[place]
        against[better] = code
        settled[rows] = True
    z, expected, low, high = best
    busier = people[:, -2:].max(axis=1) if hours else np.zeros(m, np.int64)
    return Verdicts(z, now[0], expected, low, high, busier, against)


def _pasts(hours: int, big_n: NDArray[np.float64]) -> list[tuple[NDArray[np.int64], int]]:
    """Columns of the windows of each past, and how many of them it needs. None of them touches the window judged."""
    awake = np.flatnonzero(big_n[: max(hours - 2, 0)] >= AWAKE)
    last = hours - 1
    days = last - 24 * np.arange(1, 29)
    weeks = (last - 168 * np.arange(1, 5)[:, None] + np.array([-1, 0, 1])).ravel()
    return [
        (awake[-RECENT:], LEAST_RECENT),
        (days[days >= 0], LEAST_DAYS),
        (weeks[weeks >= 0], LEAST_WEEKS),
    ]


def _against_past(
    n: NDArray[np.float64],
    big_n: NDArray[np.float64],
    use: NDArray[np.bool_],
    now_n: NDArray[np.float64],
    now_big_n: float,
    ordinary: float,
) -> tuple[NDArray[np.float64], ...]:
    """`_compare` of m things with k past windows, of which `use` says which count for whom."""
    count = use.sum(axis=1)
    total = (use * big_n).sum(axis=1)
    # One imagined ordinary window keeps the share of a thing that nobody touched above zero.
    imagined = total / count
    rho = ((use * n).sum(axis=1) + ordinary * imagined) / (total + imagined)
    y = np.log((n + PRIOR_PEOPLE) / (rho[:, None] * big_n + PRIOR_PEOPLE))
    y[~use] = np.nan
    middle = np.nanmedian(y, axis=1)
    spread = MAD_TO_SIGMA * np.nanmedian(np.abs(y - middle[:, None]), axis=1)
    shrunk = np.sqrt((count * spread**2 + PRIOR_WINDOWS * PRIOR_SPREAD**2) / (count + PRIOR_WINDOWS))
    return _compare(now_n, rho * now_big_n, middle, shrunk)


def _compare(
    observed: NDArray[np.float64], base: NDArray[np.float64], middle: NDArray[np.float64], spread: NDArray[np.float64]
) -> tuple[NDArray[np.float64], ...]:
    """z, expected people and the band around them, each (m,).

    `expected = (base + 3) * exp(middle) - 3`. Counts scatter by chance alone, by `1 / sqrt(expected + 3)` in logarithms
    (Poisson), so the scale is never smaller, however quiet the past was.
    """
    centre = (base + PRIOR_PEOPLE) * np.exp(middle)
    scale = np.maximum(spread, 1.0 / np.sqrt(np.maximum(centre, PRIOR_PEOPLE)))
    z = np.log((observed + PRIOR_PEOPLE) / centre) / scale
    low, high = (centre * np.exp(side * BAR * scale) - PRIOR_PEOPLE for side in (-1.0, 1.0))
    return z, np.maximum(centre - PRIOR_PEOPLE, 0.0), np.maximum(low, 0.0), np.maximum(high, 0.0)
