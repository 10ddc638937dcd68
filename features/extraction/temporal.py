"""Time as features: where in the day and the week a moment lies, and how old something is.

Hour and weekday go round: 23:59 and 00:01 are neighbours, which one number cannot say but a point on a circle can.
They are those of the user's own clock, where the profile says which that is.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from features.extraction.definitions import AGE_LIMIT_S, DAY_S, FRESH_HALF_LIFE_S

_EPOCH_WEEKDAY = 3
"""1 January 1970 was a Thursday, and Monday is 0."""
_OFFSET: Final = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?")
_LARGEST_OFFSET: Final = timedelta(hours=14)
_LONGEST_NAME: Final = 64


@lru_cache(maxsize=1024)
def zone_of(name: str) -> tzinfo | None:
    """The zone that a profile names: an IANA name or an offset from UTC; None for what is neither.

    >>> zone_of("+05:30").utcoffset(None), zone_of("Mars/Olympus")
    (datetime.timedelta(seconds=19800), None)
    """
    offset = _OFFSET.fullmatch(name.strip())
    if offset is not None:
        sign, hours, minutes = offset.groups()
        length = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return timezone(-length if sign == "-" else length) if length <= _LARGEST_OFFSET else None
    try:
        return ZoneInfo(name.strip()) if 0 < len(name) <= _LONGEST_NAME else None
    except (OSError, ValueError, KeyError):  # it is looked up as a file, so any of these may come of a name
        return None


def offset_s(zone: tzinfo, moment: float) -> float:
    """Seconds by which a zone's clock is ahead of UTC at a moment (seconds since 1970), summer time included.

    >>> offset_s(zone_of("Europe/Berlin"), 1_789_999_200.0)
    7200.0
    """
    ahead = datetime.fromtimestamp(moment, UTC).astimezone(zone).utcoffset()
    return 0.0 if ahead is None else ahead.total_seconds()


def clock_columns(now: NDArray[np.float64] | float) -> dict[str, NDArray[np.float64]]:
    """`sin` and `cos` of `2 pi hour / 24` and `2 pi weekday / 7`, with fractions; one entry per moment.

    Parameters
    ----------
    now : seconds since 1970 by the clock to show (UTC plus `offset_s`), one moment or an array (n,)

    >>> six = clock_columns(6 * 3600.0)
    >>> round(float(six["hour_sin"][0]), 6), round(abs(float(six["hour_cos"][0])), 6)
    (1.0, 0.0)
    """
    moment = np.atleast_1d(np.asarray(now, np.float64))
    day = moment % DAY_S / DAY_S * 2.0 * np.pi
    week = (moment / DAY_S + _EPOCH_WEEKDAY) % 7.0 / 7.0 * 2.0 * np.pi
    return {
        "hour_sin": np.sin(day), "hour_cos": np.cos(day), "weekday_sin": np.sin(week), "weekday_cos": np.cos(week),
    }  # fmt: skip


def age_s(since: NDArray[np.float64], now: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Seconds from `since` to `now`, between 0 (also for the future) and 30 days."""
    return np.clip(now - since, 0.0, AGE_LIMIT_S)


def freshness(age: NDArray[np.float64]) -> NDArray[np.float64]:
    """`2 ** (-age / 2 days)`, with the age in seconds.

    >>> freshness(np.array([0.0, 172_800.0])).tolist()
    [1.0, 0.5]
    """
    return np.exp2(-age / FRESH_HALF_LIFE_S)
