"""What the rollups say of a range of periods, read once for all KPIs that are asked of it."""

from collections.abc import Sequence
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
from dashboards.day_build import ALL
from dashboards.models import KpiDay, KpiPoint
from dashboards.rollup_rows import ACTIVE, read_column, read_sets
from dashboards.stats.measures import MEASURES
from dashboards.stats.periods import Grain, Period, periods
from dashboards.stats.user_sets import Bits, count, unpacked

TOP: Final = 10
OTHER: Final = "(other)"
NONE: Final = "(none)"
TOTAL: Final = "all"
PLACE: Final = {name: place for place, name in enumerate(MEASURES)}
_CELLS: Final = """
    SELECT start, value, measures FROM kpi_cell
    WHERE dimension = %s AND grain = %s AND start >= %s AND start < %s
"""


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
        distinct = [PLACE["users"], PLACE["publishers"]]
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
                days = days_of(period)
                found[place, PLACE["users"]] = sum(count(self.users(name, day, day)) for day in days)
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


class Filtered(Range):
    """A range of which only some values of one dimension count, any of them; its total is theirs.

    Rollups know one dimension at a time, so there is no "and" over two of them. Who is in several of the values is
    counted once by day; by hour only sums are kept, so the caller asks for one value there.
    """

    def __init__(self, first: date, last: date, grain: Grain, *, now: datetime, by: str, values: Sequence[str]) -> None:
        super().__init__(first, last, grain, now=now)
        self.by, self.values = by, tuple(dict.fromkeys(values))
        self._named = Range(first, last, grain, now=now, dimension=by)

    @cached_property
    def vectors(self) -> dict[str, NDArray[np.int64]]:
        """Only the total, which is that of the chosen values."""
        named = self._named.vectors
        rows = [named[value] for value in self.values if value in named and value != TOTAL]
        total = np.sum(rows, axis=0) if rows else np.zeros((len(self.periods), len(MEASURES)), np.int64)
        if self.grain is not Grain.HOUR:
            for place, period in enumerate(self.periods):
                total[place, PLACE["users"]] = sum(count(self.users(TOTAL, day, day)) for day in days_of(period))
        return {TOTAL: total}

    def users(self, name: str, first: date, last: date) -> Bits:
        """Who was active with any of the values."""
        del name  # there is only the total
        found = np.zeros(self.size, np.uint8)
        for value in self.values:
            if value != TOTAL:
                found |= self._named.users(value, first, last)
        return found

    def need(self, first: date, last: date) -> None:
        """As of any range; the sets are those of the dimension."""
        super().need(first, last)
        self._named.need(first, last)


def span() -> tuple[date, date] | None:
    """The first and the last day that has a rollup; None before the first fill."""
    found = KpiDay.objects.aggregate(first=Min("day"), last=Max("day"))
    return None if found["first"] is None else (found["first"], found["last"])


def computed_at() -> datetime | None:
    """When a rollup was last rebuilt."""
    newest: datetime | None = KpiDay.objects.aggregate(newest=Max("filled_at"))["newest"]
    return newest


def days_of(period: Period) -> list[date]:
    """Every day of a period."""
    return [period.first + timedelta(days=n) for n in range((period.last - period.first).days + 1)]
