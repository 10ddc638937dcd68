"""What contents were shown over some days, as figures of how widely and how evenly."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboards.stats.spread import gini, quantile

CONTENT, CREATOR, IMPRESSIONS, DELAY_S, OFFERED = range(5)
"""Rows of an exposure, int32 (5, c): content and creator numbers (-1: unknown creator), impressions, seconds from the
upload to the first impression of the day (-1: unknown), and whether the catalogue offers the content (0 or 1)."""

NOTHING: Final = np.zeros((5, 0), np.int32)


def packed(rows: NDArray[np.int32]) -> bytes:
    """The bytes of an exposure."""
    return rows.astype("<i4").tobytes()


def unpacked(data: bytes | memoryview) -> NDArray[np.int32]:
    """The inverse of `packed`."""
    return np.frombuffer(data, "<i4").reshape(5, -1) if len(data) else NOTHING


def figures(
    days: Sequence[NDArray[np.int32]], new: Sequence[NDArray[np.int64]], *, offered: int
) -> dict[str, float | None]:
    """Figures of a period.

    Parameters
    ----------
    days : the exposure of each day
    new : content numbers that were shown first on each of these days
    offered : how many contents the catalogue offers

    Returns
    -------
    coverage : percentage of the contents on offer that were shown
    exposure_gini, creator_gini : of impressions over the contents, and over the creators, that were shown at all
    first_impression_h : median hours from upload to first impression, of contents that were shown first
    """
    rows = np.concatenate(days, axis=1) if days else NOTHING
    shown = _summed(rows[CONTENT], rows[IMPRESSIONS])
    named = rows[CREATOR] >= 0
    creators = _summed(rows[CREATOR][named], rows[IMPRESSIONS][named])
    on_offer = len(np.unique(rows[CONTENT][rows[OFFERED] > 0]))
    delays = [day[DELAY_S][np.isin(day[CONTENT], first)] for day, first in zip(days, new, strict=True)]
    delay_s = np.concatenate(delays) if delays else np.empty(0, np.int32)
    delay_h = quantile(delay_s[delay_s >= 0], 0.5)
    return {
        "coverage": 100.0 * min(on_offer / offered, 1.0) if offered else None,
        "exposure_gini": gini(shown),
        "creator_gini": gini(creators),
        "first_impression_h": None if delay_h is None else delay_h / 3600.0,
    }


def _summed(numbers: NDArray[np.int32], amounts: NDArray[np.int32]) -> NDArray[np.int64]:
    """Sum of amounts for each number that comes."""
    total = np.bincount(numbers, weights=amounts) if len(numbers) else np.zeros(0)
    return total[total > 0].astype(np.int64)
