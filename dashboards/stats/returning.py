"""Who came back: retention, lifecycle and active days from one set of users for each period.

Calendar periods of the reporting time zone, never rolling 24 hours. All functions take bitmaps of one length (see
`user_sets`), one for each period without gaps; a period in which nobody came is an empty set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboards.stats.user_sets import Bits, count, union

NO_VALUE: Final = -1
"""In tables of counts: the period has not fully passed."""


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Users of one period: new + returning + resurrecting are its active users, dormant were there only before."""

    new: int
    returning: int
    resurrecting: int
    dormant: int


def lifecycle(active: Bits, before: Bits, new: Bits) -> Lifecycle:
    """Split the active users of a period.

    Parameters
    ----------
    active, before : who was active in the period and in the one before it
    new : whose first activity ever lies in the period, also where the charts begin later than the log
    """
    back = active & before & ~new
    fresh = active & new
    return Lifecycle(count(fresh), count(back), count(active & ~before & ~new), count(before & ~active))


def n_day(cohorts: Sequence[Bits], active: Sequence[Bits], *, complete: int) -> NDArray[np.int64]:
    """How many of each cohort were active exactly n periods later.

    Parameters
    ----------
    cohorts : k sets; cohort d is of period d
    active : at least k sets of active users, of the same periods and those after
    complete : how many of the periods have fully passed

    Returns
    -------
    int64 array (k, len(active)): cell (d, n) counts who of cohort d was active in period d + n, NO_VALUE where that
    period has not passed or is not given. A cohort's own period is given even while it runs.
    """
    table = np.full((len(cohorts), len(active)), NO_VALUE, np.int64)
    for d, cohort in enumerate(cohorts):
        for n in range(len(active) - d):
            if n == 0 or d + n < complete:
                table[d, n] = count(cohort & active[d + n])
    return table


def unbounded(cohorts: Sequence[Bits], active: Sequence[Bits], *, complete: int) -> NDArray[np.int64]:
    """How many of each cohort were active n periods later or at any time after that; shape and gaps as in `n_day`."""
    table = np.full((len(cohorts), len(active)), NO_VALUE, np.int64)
    later = np.zeros(len(active[0]) if active else 0, np.uint8)
    since: list[Bits] = []
    for bits in reversed(active):
        later |= bits
        since.append(later.copy())
    since.reverse()
    for d, cohort in enumerate(cohorts):
        for n in range(len(active) - d):
            if n == 0 or d + n < complete:
                table[d, n] = count(cohort & since[d + n])
    return table


def bracket(
    cohorts: Sequence[Bits], active: Sequence[Bits], brackets: Sequence[tuple[int, int]], *, complete: int
) -> NDArray[np.int64]:
    """How many of each cohort were active at least once from a to b periods later, both included.

    Returns
    -------
    int64 array (k, len(brackets)), NO_VALUE where a period of the bracket has not passed.
    """
    table = np.full((len(cohorts), len(brackets)), NO_VALUE, np.int64)
    for d, cohort in enumerate(cohorts):
        for place, (a, b) in enumerate(brackets):
            if d + b < min(complete, len(active)):
                table[d, place] = count(cohort & union(active[d + a : d + b + 1], len(cohort)))
    return table


def shares(table: NDArray[np.int64], sizes: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentages of each cohort, and of all cohorts together, weighted by their size; NaN where there is no value.

    >>> shares(np.array([[4, 2], [1, NO_VALUE]]), np.array([4, 1]))[1]
    array([100.,  50.])
    """
    known = (table != NO_VALUE) & (sizes[:, None] > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        cells = np.where(known, 100.0 * table / sizes[:, None], np.nan)
        whole = np.where(known, sizes[:, None], 0).sum(axis=0)
        weighted = np.where(whole > 0, 100.0 * np.where(known, table, 0).sum(axis=0) / whole, np.nan)
    return cells, weighted


def active_days(days: Sequence[Bits]) -> NDArray[np.int64]:
    """How many users were active on exactly 0, 1, ... len(days) of the days; position 0 counts numbers without any.

    >>> active_days([np.array([3], np.uint8), np.array([1], np.uint8)]).tolist()
    [6, 1, 1]
    """
    if not days:
        return np.zeros(1, np.int64)
    per_user = np.zeros(8 * len(days[0]), np.int16)
    for bits in days:
        per_user += np.unpackbits(bits, bitorder="little")
    return np.bincount(per_user, minlength=len(days) + 1)
