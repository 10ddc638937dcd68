"""Time as features: where in the day and the week a moment lies, and how old something is.

Hour and weekday go round: 23:59 and 00:01 are neighbours, which one number cannot say but a point on a circle can.
"""

import numpy as np
from numpy.typing import NDArray

from features.extraction.definitions import AGE_LIMIT_S, DAY_S, FRESH_HALF_LIFE_S

_EPOCH_WEEKDAY = 3
"""1 January 1970 was a Thursday, and Monday is 0."""


def clock_columns(now: NDArray[np.float64] | float) -> dict[str, NDArray[np.float64]]:
    """`sin` and `cos` of `2 pi hour / 24` and `2 pi weekday / 7` in UTC, with fractions; one entry per moment.

    Parameters
    ----------
    now : seconds since 1970 UTC, one moment or an array (n,)

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
