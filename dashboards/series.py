"""Values of KPIs over a range, read from the rollups: by period, by value of a dimension, beside the range before."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboards.day_build import COUNTRY
from dashboards.kpis import Distinct, Kpi, OfLog, Phase, Ratio, Retained, Stickiness, Stored
from dashboards.ranges import OTHER, PLACE, TOTAL, Filtered, Range, days_of
from dashboards.stats.periods import DAY, Grain, Period, before, first_day, midnight
from dashboards.stats.returning import Lifecycle, lifecycle
from dashboards.stats.user_sets import count

LEAST_USERS: Final = 5
"""Of a breakdown by what users are, a value that fewer users have is not shown."""
PROVISIONAL: Final = timedelta(hours=72)
MONTHLY: Final = 30
Only = tuple[str, tuple[str, ...]]
"""A dimension and the values of it that count, any of them."""


@dataclass(frozen=True, slots=True)
class Point:
    """A KPI in one period.

    Attributes
    ----------
    value : None where the definition has none, or too few users stand behind it (`suppressed`)
    complete : the period is over
    provisional : it was over less than 72 hours ago, so late events may still change it
    """

    period: Period
    value: float | None
    complete: bool
    provisional: bool
    suppressed: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """The points of one value of the dimension; `TOTAL` without one. `value` is that of its complete periods."""

    name: str
    points: tuple[Point, ...]
    value: float | None


@dataclass(frozen=True, slots=True)
class KpiSeries:
    """A KPI over a range; `before` are the points of the range before, in the same order, where it was asked for."""

    kpi: Kpi
    grain: Grain
    dimension: str | None
    first: date
    last: date
    groups: tuple[Group, ...]
    before: tuple[Group, ...] = ()

    @property
    def total(self) -> Group:
        """The group of everybody."""
        return self.groups[0]

    @property
    def change_pct(self) -> float | None:
        """Change of the complete periods against the same ones before; None over nothing, or where one is missing."""
        if not self.before:
            return None
        pairs = zip(self.total.points, self.before[0].points, strict=False)
        if any(then.value is None for now, then in pairs if now.complete):
            return None
        then, now = self.before[0].value, self.total.value
        return None if not then or now is None else 100.0 * (now - then) / then


def series(
    kpi: Kpi, first: date, last: date, grain: Grain, *, now: datetime, dimension: str | None = None,
    compare: bool = False, only: Only | None = None,
) -> KpiSeries:  # fmt: skip
    """A KPI from `first` to `last`, both included; weeks and months as a whole; of some values of a dimension `only`.

    The caller checks that the KPI has this grain and dimension, and that it is not broken down and filtered at once.
    """
    asked = of_range(first, last, grain, now=now, dimension=dimension, only=only)
    earlier = of_range(*before(first, last, grain), grain, now=now, only=only) if compare else None
    return of(kpi, asked, earlier)


def of_range(
    first: date, last: date, grain: Grain, *, now: datetime, dimension: str | None = None, only: Only | None = None
) -> Range:
    """The range of a question."""
    if only is None:
        return Range(first, last, grain, now=now, dimension=dimension)
    return Filtered(first, last, grain, now=now, by=only[0], values=only[1])


def of(kpi: Kpi, asked: Range, earlier: Range | None = None) -> KpiSeries:
    """A KPI over a range that may have been read already."""
    groups = _groups(kpi, asked)
    then: tuple[Group, ...] = ()
    if earlier is not None:
        # Only what has passed is compared: the same number of periods, each with its counterpart.
        complete = sum(point.complete for point in groups[0].points)
        then = (_group(kpi, earlier, TOTAL, upto=complete),)
    return KpiSeries(kpi, asked.grain, asked.dimension, asked.first, asked.last, groups, then)


def _groups(kpi: Kpi, asked: Range) -> tuple[Group, ...]:
    return tuple(_group(kpi, asked, name) for name in asked.names)


def _group(kpi: Kpi, asked: Range, name: str, *, upto: int | None = None) -> Group:
    values = _VALUES[type(kpi.formula)](kpi, asked, name)
    points = []
    for period, value in zip(asked.periods, values, strict=True):
        complete = period.end <= asked.now
        of_country = _of_country(asked, name)
        hidden = of_country and _few(asked, name, period)
        unknown = period.start > asked.now or asked.begins is None or period.last < asked.begins
        shown = None if hidden or unknown else value
        points.append(Point(period, shown, complete, complete and asked.now - period.end < PROVISIONAL, hidden))
    chosen = [place for place, point in enumerate(points) if point.complete][:upto]
    return Group(name, tuple(points), _whole(kpi, asked, name, points, chosen))


def _of_country(asked: Range, name: str) -> bool:
    return asked.by == COUNTRY if isinstance(asked, Filtered) else asked.dimension == COUNTRY and name != TOTAL


def _few(asked: Range, name: str, period: Period) -> bool:
    """Whether fewer users than may be shown stand behind a point, but some; who is only shown something is one too."""
    row = asked.vector(name)[asked.periods.index(period)]
    return bool(row.any()) and int(row[PLACE["users"]]) < LEAST_USERS


def _whole(kpi: Kpi, asked: Range, name: str, points: Sequence[Point], chosen: Sequence[int]) -> float | None:
    """The KPI over several periods at once: rates and sums from their parts, anything else as the mean of periods."""
    if not chosen:
        return None
    if isinstance(kpi.formula, Ratio):
        return _ratio(kpi.formula, asked.vector(name)[list(chosen)].sum(axis=0))
    if isinstance(kpi.formula, Retained):
        known = [place for place in chosen if points[place].value is not None]
        parts = [_retained(kpi.formula, asked, name, asked.periods[place]) for place in known]
        kept, size = sum(kept for kept, _ in parts), sum(size for _, size in parts)
        return 100.0 * kept / size if size else None
    values = [value for place in chosen if (value := points[place].value) is not None]
    return sum(values) / len(values) if values else None


def _ratio(formula: Ratio, measures: NDArray[np.int64]) -> float | None:
    over = sum(int(measures[PLACE[name]]) for name in formula.over)
    if not formula.under:
        return formula.scale * over if formula.scale != 1.0 else float(over)
    under = sum(int(measures[PLACE[name]]) for name in formula.under)
    if not under:
        # A rate of nothing is not 0.
        return None
    return formula.scale * ((under - over) if formula.complement else over) / under


def _of_ratio(kpi: Kpi, asked: Range, name: str) -> list[float | None]:
    assert isinstance(kpi.formula, Ratio)
    return [_ratio(kpi.formula, row) for row in asked.vector(name)]


def _of_distinct(kpi: Kpi, asked: Range, name: str) -> list[float | None]:
    assert isinstance(kpi.formula, Distinct)
    trailing = kpi.formula.trailing
    if trailing is None and (asked.grain is Grain.HOUR or (asked.grain is Grain.DAY and name != OTHER)):
        return [float(row[PLACE["users"]]) for row in asked.vector(name)]
    back = timedelta(days=(trailing or 1) - 1)
    asked.need(asked.first - back, asked.last)
    return [float(count(asked.users(name, period.first - back, period.last))) for period in asked.periods]


def _of_stickiness(kpi: Kpi, asked: Range, name: str) -> list[float | None]:
    del kpi  # there is one stickiness
    back = timedelta(days=MONTHLY - 1)
    asked.need(asked.first - back, asked.last)
    monthly = [count(asked.users(name, period.first - back, period.last)) for period in asked.periods]
    daily = [count(asked.users(name, period.first, period.last)) for period in asked.periods]
    return [100.0 * day / month if month else None for day, month in zip(daily, monthly, strict=True)]


def phases(asked: Range, name: str) -> list[Lifecycle]:
    """The lifecycle of a group in each period."""
    earlier = first_day(asked.first - DAY, asked.grain)
    asked.need(earlier, asked.last)
    active = asked.users(name, earlier, asked.first - DAY)
    found = []
    for period in asked.periods:
        then, active = active, asked.users(name, period.first, period.last)
        new = np.zeros(asked.size, np.uint8)
        for day in days_of(period):
            new |= asked.new_users.get(day, new)
        found.append(lifecycle(active, then, new))
    return found


def _of_phase(kpi: Kpi, asked: Range, name: str) -> list[float | None]:
    assert isinstance(kpi.formula, Phase)
    part = kpi.formula.name
    return [float(getattr(each, part)) for each in phases(asked, name)]


def _of_retained(kpi: Kpi, asked: Range, name: str) -> list[float | None]:
    assert isinstance(kpi.formula, Retained)
    after = timedelta(days=kpi.formula.after)
    asked.need(asked.first, asked.last + after)
    found: list[float | None] = []
    for period in asked.periods:
        kept, size = _retained(kpi.formula, asked, name, period)
        passed = midnight(period.last + after + DAY, asked.zone) <= asked.now
        found.append(100.0 * kept / size if size and passed else None)
    return found


def _retained(formula: Retained, asked: Range, name: str, period: Period) -> tuple[int, int]:
    """Of the users whose first day lies in a period: how many came back, and how many there are."""
    after = timedelta(days=formula.after)
    size = kept = 0
    for day in days_of(period):
        if (new := asked.new_users.get(day)) is not None:
            cohort = new & asked.users(name, day, day)
            size += count(cohort)
            kept += count(cohort & asked.users(TOTAL, day + after, day + after))
    return kept, size


def _of_stored(kpi: Kpi, asked: Range, name: str) -> list[float | None]:
    del name  # not broken down
    assert isinstance(kpi.formula, Stored)
    found = asked.stored(kpi.formula.name)
    return [found.get(period.start) for period in asked.periods]


def _of_log(kpi: Kpi, asked: Range, name: str) -> list[float | None]:
    del name  # not broken down
    assert isinstance(kpi.formula, OfLog)
    found: list[float | None] = []
    for period in asked.periods:
        rows = [asked.log[day] for day in days_of(period) if day in asked.log]
        whole, part = sum(each["log_rows"] for each in rows), sum(each[kpi.formula.column] for each in rows)
        found.append(100.0 * part / whole if whole else None)
    return found


_VALUES: Final[dict[type, Callable[[Kpi, Range, str], list[float | None]]]] = {
    Ratio: _of_ratio, Distinct: _of_distinct, Stickiness: _of_stickiness, Phase: _of_phase, Retained: _of_retained,
    Stored: _of_stored, OfLog: _of_log,
}  # fmt: skip
