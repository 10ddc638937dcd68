"""Values of KPIs over a range, read from the rollups: by period, by value of a dimension, beside the range before."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from django.conf import settings
from django.db import connection
from django.db.models import Max, Min
from numpy.typing import NDArray

from dashboards import numbering
from dashboards.day_build import ALL, COUNTRY
from dashboards.kpis import Distinct, Kpi, OfLog, Phase, Ratio, Retained, Stickiness, Stored
from dashboards.models import KpiDay, KpiPoint
from dashboards.rollup_rows import ACTIVE, read_column, read_sets
from dashboards.stats.measures import MEASURES
from dashboards.stats.periods import DAY, Grain, Period, before, first_day, midnight, periods
from dashboards.stats.returning import Lifecycle, lifecycle
from dashboards.stats.user_sets import Bits, count, unpacked

TOP: Final = 10
OTHER: Final = "(other)"
NONE: Final = "(none)"
TOTAL: Final = "all"
LEAST_USERS: Final = 5
"""Of a breakdown by what users are, a value that fewer users have is not shown."""
PROVISIONAL: Final = timedelta(hours=72)
MONTHLY: Final = 30
_PLACE: Final = {name: place for place, name in enumerate(MEASURES)}
_CELLS: Final = """
    SELECT start, value, measures FROM kpi_cell
    WHERE dimension = %s AND grain = %s AND start >= %s AND start < %s
"""


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


class Range:
    """A range of periods and a dimension; every KPI asked of it shares what was read."""

    def __init__(self, first: date, last: date, grain: Grain, *, now: datetime, dimension: str | None = None) -> None:
        self.zone = ZoneInfo(settings.REPORTING_TIME_ZONE)
        self.grain, self.dimension, self.now = grain, dimension, now
        self.periods = periods(first, last, grain, self.zone)
        self.first, self.last = self.periods[0].first, self.periods[-1].last
        self._start = np.array([period.start.timestamp() for period in self.periods])
        self._span = (self.first, self.last)
        self._sets: dict[str, dict[tuple[date, str], Bits]] = {}

    @cached_property
    def begins(self) -> date | None:
        """The first day that was ever measured: before it nobody was counted, which is not the same as nobody."""
        measured = span()
        return None if measured is None else measured[0]

    @cached_property
    def size(self) -> int:
        """Bytes of a set of users."""
        return numbering.size_bytes()

    @cached_property
    def vectors(self) -> dict[str, NDArray[np.int64]]:
        """Measures by value of the dimension, int64 (periods, MEASURES); `TOTAL` always among them.

        Of "" only `users` and `publishers` are stored; the rest is what the named values leave of the total.
        """
        found = self._read(ALL)
        total = found.get("", np.zeros((len(self.periods), len(MEASURES)), np.int64))
        if self.dimension is None:
            return {TOTAL: total}
        named = self._read(self.dimension)
        nameless = named.pop("", np.zeros_like(total))
        whole = total - sum(named.values(), np.zeros_like(total))
        distinct = [_PLACE["users"], _PLACE["publishers"]]
        # Without a single value of the dimension nobody has one.
        silent = np.ones(len(total), np.bool_)
        for each in named.values():
            silent &= ~each.any(axis=1)
        whole[:, distinct] = np.where(silent[:, None], total[:, distinct], nameless[:, distinct])
        return {TOTAL: total, **named, NONE: whole}

    def _read(self, dimension: str) -> dict[str, NDArray[np.int64]]:
        stored = Grain.HOUR if self.grain is Grain.HOUR else Grain.DAY
        with connection.cursor() as cursor:
            cursor.execute(_CELLS, [dimension, stored, self.periods[0].start, self.periods[-1].end])
            rows = cursor.fetchall()
        if not rows:
            return {}
        starts = np.array([start.timestamp() for start, _, _ in rows])
        place = np.searchsorted(self._start, starts, "right") - 1
        measures = np.array([measures for _, _, measures in rows], np.int64)
        found: dict[str, NDArray[np.int64]] = {}
        values = np.array([value for _, value, _ in rows], object)
        for value in dict.fromkeys(values.tolist()):
            at = np.flatnonzero(values == value)
            found[value] = np.zeros((len(self.periods), len(MEASURES)), np.int64)
            np.add.at(found[value], place[at], measures[at])
        return found

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The groups of the dimension: the total, the largest values, the others together, none."""
        if self.dimension is None:
            return (TOTAL,)
        weight = {name: int(rows[:, 0].sum()) for name, rows in self.vectors.items() if name not in {TOTAL, NONE}}
        top = sorted(weight, key=lambda name: (-weight[name], name))
        rest = (OTHER,) if len(top) > TOP else ()
        none = (NONE,) if self.vectors[NONE].any() else ()
        return (TOTAL, *top[:TOP], *rest, *none)

    def vector(self, name: str) -> NDArray[np.int64]:
        """Measures of a group, int64 (periods, MEASURES)."""
        if name in self.vectors:
            return self.vectors[name]
        shown = {*self.names}
        rest = [rows for value, rows in self.vectors.items() if value not in {*shown, TOTAL, NONE}]
        found: NDArray[np.int64] = np.sum(rest, axis=0)
        # Distinct users of several values are counted by their sets, one of them perhaps in several values.
        for place, period in enumerate(self.periods):
            if self.grain is not Grain.HOUR:
                days = _days(period)
                found[place, _PLACE["users"]] = sum(count(self.users(name, day, day)) for day in days)
        self.vectors[name] = found
        return found

    def users(self, name: str, first: date, last: date) -> Bits:
        """Who of a group was active from one day to another, both included."""
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        found = np.zeros(self.size, np.uint8)
        whole = self._loaded(ALL)
        if name == TOTAL or self.dimension is None:
            for day in days:
                if (bits := whole.get((day, ""))) is not None:
                    found |= bits
            return found
        named = self._loaded(self.dimension)
        with_values = self._days_with_values
        for day in days:
            if name == OTHER:
                for value in self._rest:
                    if (bits := named.get((day, value))) is not None:
                        found |= bits
            elif name == NONE and day not in with_values:
                if (bits := whole.get((day, ""))) is not None:
                    found |= bits
            elif (bits := named.get((day, "" if name == NONE else name))) is not None:
                found |= bits
        return found

    @cached_property
    def _days_with_values(self) -> set[date]:
        return {day for day, value in self._loaded(self.dimension or ALL) if value}

    @cached_property
    def _rest(self) -> list[str]:
        return sorted({value for _, value in self._loaded(self.dimension or ALL)} - {"", *self.names})

    def need(self, first: date, last: date) -> None:
        """Say which days of sets will be asked for, so that they are read at once."""
        if first < self._span[0] or last > self._span[1]:
            self._span = min(first, self._span[0]), max(last, self._span[1])
            self._sets.clear()

    def _loaded(self, dimension: str) -> dict[tuple[date, str], Bits]:
        if dimension not in self._sets:
            self._sets[dimension] = read_sets(ACTIVE, dimension, *self._span, self.size)
        return self._sets[dimension]

    @cached_property
    def new_users(self) -> dict[date, Bits]:
        """Whose first day each day of the range is."""
        found = read_column("new_users", self.first, self.last)
        return {day: unpacked(data, self.size) for day, data in found.items()}

    def stored(self, kpi: str) -> dict[datetime, float]:
        """Figures that were computed with their periods, by the start of the period."""
        rows = KpiPoint.objects.filter(
            kpi=kpi,
            grain=self.grain,
            start__gte=self.periods[0].start,
            start__lt=self.periods[-1].end,
            value__isnull=False,
        )
        return {start.astimezone(UTC): float(value or 0.0) for start, value in rows.values_list("start", "value")}

    @cached_property
    def log(self) -> dict[date, dict[str, int]]:
        """What `KpiDay` counts of the log, by day."""
        names = ("log_rows", "excluded_rows", "late_rows")
        rows = KpiDay.objects.filter(day__range=(self.first, self.last)).values_list("day", *names)
        return {day: dict(zip(names, counts, strict=True)) for day, *counts in rows}


def span() -> tuple[date, date] | None:
    """The first and the last day that has a rollup; None before the first fill."""
    found = KpiDay.objects.aggregate(first=Min("day"), last=Max("day"))
    return None if found["first"] is None else (found["first"], found["last"])


def computed_at() -> datetime | None:
    """When a rollup was last rebuilt."""
    newest: datetime | None = KpiDay.objects.aggregate(newest=Max("filled_at"))["newest"]
    return newest


def series(
    kpi: Kpi, first: date, last: date, grain: Grain, *, now: datetime, dimension: str | None = None,
    compare: bool = False,
) -> KpiSeries:  # fmt: skip
    """A KPI from `first` to `last`, both included; weeks and months as a whole.

    The caller checks that the KPI has this grain and dimension.
    """
    asked = Range(first, last, grain, now=now, dimension=dimension)
    earlier = None
    if compare:
        earlier = Range(*before(first, last, grain), grain, now=now)
    return of(kpi, asked, earlier)


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
        hidden = asked.dimension == COUNTRY and name != TOTAL and _few(asked, name, period)
        unknown = period.start > asked.now or asked.begins is None or period.last < asked.begins
        shown = None if hidden or unknown else value
        points.append(Point(period, shown, complete, complete and asked.now - period.end < PROVISIONAL, hidden))
    chosen = [place for place, point in enumerate(points) if point.complete][:upto]
    return Group(name, tuple(points), _whole(kpi, asked, name, points, chosen))


def _few(asked: Range, name: str, period: Period) -> bool:
    """Whether fewer users than may be shown stand behind a point, but some."""
    place = asked.periods.index(period)
    users = int(asked.vector(name)[place, _PLACE["users"]])
    return 0 < users < LEAST_USERS


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
    over = sum(int(measures[_PLACE[name]]) for name in formula.over)
    if not formula.under:
        return formula.scale * over if formula.scale != 1.0 else float(over)
    under = sum(int(measures[_PLACE[name]]) for name in formula.under)
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
        return [float(row[_PLACE["users"]]) for row in asked.vector(name)]
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
        for day in _days(period):
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
    for day in _days(period):
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
        rows = [asked.log[day] for day in _days(period) if day in asked.log]
        whole, part = sum(each["log_rows"] for each in rows), sum(each[kpi.formula.column] for each in rows)
        found.append(100.0 * part / whole if whole else None)
    return found


def _days(period: Period) -> list[date]:
    return [period.first + timedelta(days=n) for n in range((period.last - period.first).days + 1)]


_VALUES: Final[dict[type, Callable[[Kpi, Range, str], list[float | None]]]] = {
    Ratio: _of_ratio, Distinct: _of_distinct, Stickiness: _of_stickiness, Phase: _of_phase, Retained: _of_retained,
    Stored: _of_stored, OfLog: _of_log,
}  # fmt: skip
