"""Charts as server-rendered SVG: readable without scripts, printable, and safe under a strict content policy.

`dashboards.js` adds a moving tooltip; what it says stands in the marks themselves, and in the table beside the chart.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings

from dashboards.formats import amount
from dashboards.series import Group, KpiSeries
from dashboards.stats.periods import Grain

WIDTH: Final = 640
HEIGHT: Final = 220
LEFT: Final = 52
RIGHT: Final = 12
TOP: Final = 12
BOTTOM: Final = 26
TICKS: Final = 4
LABELS: Final = 6
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Mark:
    """One point: where it is, and what it says."""

    x: float
    y: float
    label: str
    complete: bool
    day: date | None


@dataclass(frozen=True, slots=True)
class Line:
    """One series: unbroken runs of values as SVG point lists, so that a missing period is a gap and not a zero.

    `pending` joins the last two points where the last period still runs, to be drawn dashed.
    """

    name: str
    number: int
    runs: tuple[str, ...]
    pending: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines in a `WIDTH` x `HEIGHT` view box; `before` is the range before, drawn dashed behind them."""

    lines: tuple[Line, ...]
    before: Line | None
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    summary: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a histogram."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class Bars:
    """A histogram in a `WIDTH` x `HEIGHT` view box."""

    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    summary: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM


def when(start: datetime, grain: Grain) -> str:
    """A period in words, in the reporting time zone."""
    local = start.astimezone(ZoneInfo(settings.REPORTING_TIME_ZONE))
    if grain is Grain.HOUR:
        return f"{local:%a %d %b %H:%M}"
    if grain is Grain.MONTH:
        return f"{local:%B %Y}"
    return f"{'week from ' if grain is Grain.WEEK else ''}{local:%a %d %b %Y}"


def nice_top(high: float) -> float:
    """The first round number at or above a value.

    >>> nice_top(0.0), nice_top(7.0), nice_top(1340.0)
    (1.0, 10.0, 2000.0)
    """
    if high <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(high))
    return next(step * power for step in _STEPS if step * power >= high * (1 - 1e-12))


def line_chart(found: KpiSeries) -> Chart | None:
    """The lines of a series; None where it has no value at all. The vertical axis starts at zero."""
    groups = found.groups if found.dimension is None else found.groups[1:] or found.groups
    values = [point.value for group in (*groups, *found.before) for point in group.points if point.value is not None]
    if not any(point.value is not None for group in groups for point in group.points):
        return None
    top = nice_top(max(values))
    count = len(groups[0].points)
    lines = tuple(_line(group, number, found, top, count) for number, group in enumerate(groups))
    before = _line(found.before[0], 0, found, top, count) if found.before else None
    starts = [point.period.start for point in groups[0].points]
    shown = sorted({round(n * (count - 1) / max(LABELS - 1, 1)) for n in range(LABELS)}) if count > 1 else [0]
    ticks = tuple(Tick(_x(place, count), _short(starts[place], found.grain)) for place in shown)
    return Chart(lines, before, ticks, _y_ticks(top), _summary(found))


def trail(values: Sequence[tuple[str, float | None]], *, unit: str) -> Chart | None:
    """One line through values that are named already, as an incident keeps them; None where there is none."""
    known = [value for _, value in values if value is not None]
    if not known:
        return None
    top, count = nice_top(max(known)), len(values)
    runs: list[list[str]] = [[]]
    marks = []
    for place, (name, value) in enumerate(values):
        if value is None:
            runs.append([])
            continue
        x, y = _x(place, count), round(_y(value, top), 1)
        marks.append(Mark(x, y, f"{name}: {amount(value)}{f' {unit}' if unit else ''}", True, None))
        runs[-1].append(f"{x},{y}")
    line = Line("all", 0, tuple(" ".join(run) for run in runs if len(run) > 1), "", tuple(marks))
    ends = (Tick(_x(0, count), values[0][0]), Tick(_x(count - 1, count), values[-1][0])) if count > 1 else ()
    unit = f" {unit}" if unit else ""
    summary = f"from {amount(min(known))} to {amount(max(known))}{unit}, last {amount(known[-1])}{unit}"
    return Chart((line,), None, ends, _y_ticks(top), summary)


def columns(values: Sequence[int], labels: Sequence[str], ticks: Sequence[str], *, summary: str) -> Bars:
    """One bar for each value; `labels` say what each is, `ticks` stand below them as far as there is room."""
    top = nice_top(max(values, default=0))
    step = (WIDTH - LEFT - RIGHT) / max(len(values), 1)
    bars = tuple(
        Bar(
            round(LEFT + place * step + step * 0.1, 1), y := round(_y(value, top), 1), round(step * 0.8, 1),
            round(HEIGHT - BOTTOM - y, 1), label,
        )
        for place, (value, label) in enumerate(zip(values, labels, strict=True))
    )  # fmt: skip
    every = max(-(-len(values) // LABELS), 1)
    marks = tuple(Tick(round(LEFT + (n + 0.5) * step, 1), text) for n, text in enumerate(ticks) if n % every == 0)
    return Bars(bars, marks, _y_ticks(top), summary)


def active_days(users: Sequence[int]) -> Bars | None:
    """Users by number of active days, 1, 2, ...; None where there are none."""
    if not any(users):
        return None
    most = max(range(len(users)), key=users.__getitem__)
    labels = [f"{days} {'day' if days == 1 else 'days'}: {amount(count)} users" for days, count in enumerate(users, 1)]
    summary = f"most users on {most + 1} {'day' if most == 0 else 'days'}"
    return columns(users, labels, [str(n) for n in range(1, len(users) + 1)], summary=summary)


def _line(group: Group, number: int, found: KpiSeries, top: float, count: int) -> Line:
    runs: list[list[tuple[float, float]]] = [[]]
    marks, pending = [], ""
    for place, point in enumerate(group.points[:count]):
        if point.value is None:
            runs.append([])
            continue
        x, y = _x(place, count), round(_y(point.value, top), 1)
        unit = f" {found.kpi.unit}" if found.kpi.unit else ""
        name = "" if group.name == "all" else f"{group.name}, "
        running = "" if point.complete else " (incomplete)"
        label = f"{name}{when(point.period.start, found.grain)}: {amount(point.value)}{unit}{running}"
        marks.append(Mark(x, y, label, point.complete, point.period.first))
        if not point.complete and runs[-1]:
            pending = f"{runs[-1][-1][0]},{runs[-1][-1][1]} {x},{y}"
        else:
            runs[-1].append((x, y))
    lists = tuple(" ".join(f"{x},{y}" for x, y in run) for run in runs if len(run) > 1)
    return Line(group.name, number, lists, pending, tuple(marks))


def _x(place: int, count: int) -> float:
    return round(LEFT + place * (WIDTH - LEFT - RIGHT) / max(count - 1, 1), 1)


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)


def _y_ticks(top: float) -> tuple[Tick, ...]:
    return tuple(Tick(round(_y(top * n / TICKS, top), 1), amount(top * n / TICKS)) for n in range(TICKS + 1))


def _short(start: datetime, grain: Grain) -> str:
    local = start.astimezone(ZoneInfo(settings.REPORTING_TIME_ZONE))
    return {Grain.HOUR: f"{local:%d %b %H}h", Grain.MONTH: f"{local:%b %Y}"}.get(grain, f"{local.day} {local:%b}")


def _summary(found: KpiSeries) -> str:
    values = [point.value for point in found.total.points if point.value is not None]
    if not values:
        return "no value in this range"
    unit = f" {found.kpi.unit}" if found.kpi.unit else ""
    return f"from {amount(min(values))} to {amount(max(values))}{unit}, last {amount(values[-1])}{unit}"
