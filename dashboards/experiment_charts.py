"""Intervals of experiments as server-rendered SVG: a bar per effect, and a band over the days."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

WIDTH: Final = 640
HEIGHT: Final = 220
LEFT: Final = 56
RIGHT: Final = 12
TOP: Final = 12
BOTTOM: Final = 26
BAR_WIDTH: Final = 200
MOST_LIFT: Final = 3.0
"""A lift beyond this is drawn at the edge: the first days of an experiment know nothing."""


@dataclass(frozen=True, slots=True)
class Bar:
    """An interval on a scale that a whole table shares: from `x` on, with its middle and where zero lies."""

    x: float
    width: float
    middle: float
    zero: float
    total: int = BAR_WIDTH


@dataclass(frozen=True, slots=True)
class Band:
    """One arm over the days: the interval as a polygon, the estimate as a line."""

    arm: str
    number: int
    area: str
    line: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Lift by day in a `WIDTH` x `HEIGHT` view box."""

    bands: tuple[Band, ...]
    y_ticks: tuple[tuple[float, str], ...]
    x_ticks: tuple[tuple[float, str], ...]
    zero: float
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT


def widest(effects: Sequence[Mapping[str, float] | None]) -> float:
    """The reach of a scale for these effects, at least one per cent.

    >>> widest([None, {"lower": -0.2, "upper": 0.05}])
    0.2
    """
    ends = [abs(each[end]) for each in effects if each for end in ("lower", "upper")]
    return max(min(max(ends, default=0.01), MOST_LIFT), 0.01)


def bar(effect: Mapping[str, float] | None, reach: float) -> Bar | None:
    """An effect on a scale from -reach to +reach."""
    if effect is None:
        return None

    def at(value: float) -> float:
        return round((min(max(value / reach, -1.0), 1.0) + 1.0) / 2.0 * BAR_WIDTH, 1)

    low, high = at(effect["lower"]), at(effect["upper"])
    return Bar(low, max(round(high - low, 1), 2.0), at(effect["estimate"]), BAR_WIDTH / 2)


def timeline(days: Sequence[Mapping[str, Any]], metric: str, arms: Sequence[str]) -> Timeline | None:
    """The lift of a metric by day; None before there are two days with an interval."""
    points = [
        [(place, day["effects"][metric][arm]) for place, day in enumerate(days) if day["effects"][metric][arm]]
        for arm in range(len(arms) - 1)
    ]
    if max((len(each) for each in points), default=0) < 2:
        return None
    # The first days know nothing and would flatten the rest.
    later = [effect for each in points for _, effect in each[len(each) // 3 :]]
    reach = widest(later)
    step = (WIDTH - LEFT - RIGHT) / max(len(days) - 1, 1)

    def x(place: int) -> float:
        return round(LEFT + place * step, 1)

    def y(value: float) -> float:
        return round(TOP + (1.0 - (min(max(value / reach, -1.0), 1.0) + 1.0) / 2.0) * (HEIGHT - TOP - BOTTOM), 1)

    bands = []
    for number, (arm, told) in enumerate(zip(arms[1:], points, strict=True), start=1):
        upper = [f"{x(place)},{y(effect['upper'])}" for place, effect in told]
        lower = [f"{x(place)},{y(effect['lower'])}" for place, effect in reversed(told)]
        line = " ".join(f"{x(place)},{y(effect['estimate'])}" for place, effect in told)
        bands.append(Band(arm, number, " ".join(upper + lower), line))
    y_ticks = tuple((y(value), f"{100 * value:+.0f} %") for value in (-reach, -reach / 2, 0.0, reach / 2, reach))
    shown = sorted({0, len(days) // 2, len(days) - 1})
    return Timeline(tuple(bands), y_ticks, tuple((x(place), days[place]["day"][5:]) for place in shown), y(0.0))
