"""Users of an experiment as arrays, and from them the sums of every metric by arm."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboards.stats.trials.moments import Moments, Sums, Unreadable, adjusted, mean_of, ratio_of

TAIL: Final = 0.995
"""Sums per user above this quantile of all users count as much as it."""


@dataclass(frozen=True, slots=True)
class Units:
    """Users that count, in one order.

    Attributes
    ----------
    arm : int64 (u,), number of the arm
    before, since : float64 (measures, u), sums over the days before and since the exposure
    returned : by days, float64 (u,): 1 active exactly so many days after the exposure, 0 not, NaN not yet passed
    """

    arm: NDArray[np.int64]
    before: NDArray[np.float64]
    since: NDArray[np.float64]
    returned: dict[int, NDArray[np.float64]]

    def only(self, chosen: NDArray[np.bool_]) -> "Units":
        """Some of them."""
        returned = {days: column[chosen] for days, column in self.returned.items()}
        return Units(self.arm[chosen], self.before[:, chosen], self.since[:, chosen], returned)


def cut(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """A column without its tail.

    >>> float(cut(np.array([1.0] * 999 + [500.0])).max())
    1.0
    """
    if not len(column):
        return column
    found: NDArray[np.float64] = np.minimum(column, np.quantile(column, TAIL, method="lower"))
    return found


@dataclass(frozen=True, slots=True)
class Columns:
    """A metric of all users: the columns of `moments.Sums`, whose last half is of the time before."""

    kind: str
    arm: NDArray[np.int64]
    columns: tuple[NDArray[np.float64], ...]


def columns_of(
    units: Units, over: Sequence[int], under: Sequence[int], *, after: int | None, active: int,
    complement: bool = False, long_tail: bool = False,
) -> Columns:  # fmt: skip
    """The columns of a metric.

    Parameters
    ----------
    over, under : rows of the measures
    after : coming back after so many days, in the place of measures; days active before are its time before
    active : row of the measure that says whether a user was active
    """
    if after is not None:
        told = units.returned[after]
        known = ~np.isnan(told)
        return Columns("mean", units.arm[known], (told[known], units.before[active][known]))

    def summed(sums: NDArray[np.float64], rows: Sequence[int]) -> NDArray[np.float64]:
        total: NDArray[np.float64] = sums[list(rows)].sum(axis=0)
        return cut(total) if long_tail else total

    since, before = summed(units.since, over), summed(units.before, over)
    if not under:
        return Columns("mean", units.arm, (since, before))
    below, below_before = units.since[list(under)].sum(axis=0), units.before[list(under)].sum(axis=0)
    if complement:
        since, before = below - since, below_before - before
    return Columns("ratio", units.arm, (since, below, before, below_before))


def moments_of(told: Columns, arms: int) -> tuple[list[Moments | None], bool, list[str]]:
    """The metric in each arm, whether the time before was taken off, and why an arm has none.

    The time before is taken off where it is worth it for all: it needs an answer from every arm.
    """
    sums = [Sums.of(*(column[told.arm == arm] for column in told.columns)) for arm in range(arms)]
    half = len(told.columns) // 2
    if any(column.any() for column in told.columns[half:]):
        try:
            return list(adjusted(sums, told.kind)), True, [""] * arms
        except Unreadable:
            pass
    found: list[Moments | None] = []
    said = []
    for each in sums:
        try:
            found.append(ratio_of(each) if told.kind == "ratio" else mean_of(each))
            said.append("")
        except Unreadable as error:
            found.append(None)
            said.append(str(error))
    return found, False, said
