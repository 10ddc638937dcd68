"""Who or what stands behind a point of a chart: users of a phase, contents by exposure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from dashboards import numbering
from dashboards.kpis import Distinct, Kpi, Phase
from dashboards.models import KpiContent
from dashboards.ranges import TOTAL, Range
from dashboards.rollup_rows import CONTENTS, USERS, read_column
from dashboards.series import MONTHLY
from dashboards.stats import exposures
from dashboards.stats.exposures import CONTENT, IMPRESSIONS
from dashboards.stats.periods import DAY, Grain, first_day
from dashboards.stats.user_sets import numbers_of

MOST: Final = 200


@dataclass(frozen=True, slots=True)
class Behind:
    """Up to `MOST` of what stands behind a point, and how much there is; contents with their impressions."""

    kind: str
    total: int
    names: tuple[tuple[int, str, int | None], ...]


def can_show(kpi: Kpi) -> bool:
    """Whether something can be listed behind the points of a KPI."""
    return isinstance(kpi.formula, Distinct | Phase) or kpi.section == "content" or kpi.key in {"impressions", "ctr"}


def behind(kpi: Kpi, asked: Range) -> Behind:
    """What stands behind the first period of a range."""
    if isinstance(kpi.formula, Distinct | Phase):
        bits = _users(kpi, asked)
        numbers = numbers_of(bits)
        shown = numbers[:MOST].tolist()
        names = numbering.names(USERS, shown)
        return Behind("users", len(numbers), tuple((n, name, None) for n, name in zip(shown, names, strict=True)))
    period = asked.periods[0]
    rows = [exposures.unpacked(data) for data in read_column("exposure", period.first, period.last).values()]
    joined = np.concatenate(rows, axis=1) if rows else exposures.NOTHING
    amounts = np.bincount(joined[CONTENT], weights=joined[IMPRESSIONS]) if joined.shape[1] else np.zeros(0)
    order = np.argsort(-amounts, kind="stable")[:MOST]
    order = order[amounts[order] > 0]
    named = dict(KpiContent.objects.filter(number__in=order.tolist()).values_list("number", "name"))
    listed = tuple((n, named[n], int(amounts[n])) for n in order.tolist())
    return Behind(CONTENTS.removeprefix("kpi_") + "s", int((amounts > 0).sum()), listed)


def _users(kpi: Kpi, asked: Range) -> np.ndarray:
    period = asked.periods[0]
    if isinstance(kpi.formula, Distinct):
        back = DAY * ((kpi.formula.trailing or 1) - 1)
        asked.need(period.first - back, period.last)
        return asked.users(TOTAL, period.first - back, period.last)
    assert isinstance(kpi.formula, Phase)
    earlier = first_day(period.first - DAY, asked.grain)
    asked.need(min(earlier, period.last - DAY * MONTHLY), period.last)
    active, before = asked.users(TOTAL, period.first, period.last), asked.users(TOTAL, earlier, period.first - DAY)
    new = np.zeros(asked.size, np.uint8)
    for bits in asked.new_users.values():
        new |= bits
    found: np.ndarray = {
        "new": active & new, "returning": active & before & ~new, "resurrecting": active & ~before & ~new,
        "dormant": before & ~active,
    }[kpi.formula.name]  # fmt: skip
    return found


def at(grain: Grain, kpi: Kpi, day: object, *, now: datetime) -> Range:
    """The range of the one period that begins on a day; a KPI without that grain by day."""
    return Range(day, day, grain if grain in kpi.grains else Grain.DAY, now=now)  # type: ignore[arg-type]
