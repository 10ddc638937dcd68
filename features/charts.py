"""Charts of trend series as server-rendered SVG: readable without scripts, and safe under a strict content policy."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.trends import TrendSeries

WIDTH: Final = 640
HEIGHT: Final = 180
MARGIN: Final = 8
LEAST_TOP: Final = 5.0
"""A chart of nothing at all still has an axis."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the time axis: midnight in UTC."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class BandChart:
    """Geometry of one series in a `WIDTH` x `HEIGHT` view box.

    `observed` and `expected` are SVG point lists of lines, `band` of the polygon in which nothing is unusual, cut at
    the top of the chart. `rising` are the places of the windows that were trends.
    """

    observed: str
    expected: str
    band: str
    rising: tuple[tuple[float, float], ...]
    ticks: tuple[Tick, ...]
    top: float
    summary: str


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One window of a series, as a row of the table beside the chart."""

    hour: datetime
    observed: float
    expected: float
    low: float
    high: float
    z: float
    trending: bool


def band_chart(series: TrendSeries) -> BandChart | None:
    """Lay out a series; None when it has no window. The vertical axis starts at zero."""
    if len(series) == 0:
        return None
    found = series.verdicts
    top = float(max(found.observed.max() * 1.08, found.expected.max() * 1.5, LEAST_TOP))
    step = (WIDTH - 2 * MARGIN) / max(len(series) - 1, 1)
    x = MARGIN + step * np.arange(len(series), dtype=np.float64)

    def height(people: NDArray[np.float64]) -> NDArray[np.float64]:
        return HEIGHT - MARGIN - np.minimum(people / top, 1.0) * (HEIGHT - 2 * MARGIN)

    observed = height(found.observed)
    around = np.concatenate([height(found.high), height(found.low)[::-1]])
    rising = np.flatnonzero(found.trending)
    ticks = [
        Tick(round(at, 1), f"{hour:%d %b}") for at, hour in zip(x.tolist(), series.hour, strict=True) if not hour.hour
    ]
    return BandChart(
        observed=_points(x, observed),
        expected=_points(x, height(found.expected)),
        band=_points(np.concatenate([x, x[::-1]]), around),
        rising=tuple((round(float(x[at]), 1), round(float(observed[at]), 1)) for at in rising),
        ticks=tuple(ticks),
        top=top,
        summary=f"Now {found.observed[-1]:.0f} people where {found.expected[-1]:.1f} were to be expected, "
        f"z {found.z[-1]:.1f}; at most {found.observed.max():.0f} in the last {len(series)} hours.",
    )


def series_rows(series: TrendSeries) -> list[SeriesRow]:
    """The windows of a series, newest first."""
    found = series.verdicts
    columns = (found.observed, found.expected, found.low, found.high, found.z, found.trending)
    rows = [SeriesRow(hour, *row) for hour, *row in zip(series.hour, *(each.tolist() for each in columns), strict=True)]
    return rows[::-1]


def _points(x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
