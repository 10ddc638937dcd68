"""Geometry of plots of a few points, drawn on the server: readable without scripts, safe under a strict content policy.

Every plot has a table beside it with the same numbers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 480
HEIGHT: Final = 240
LEFT: Final = 48
RIGHT: Final = 12
TOP: Final = 10
BOTTOM: Final = 34
STEPS: Final = 4

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Curve:
    """One line: its name, its look ("main", "other" or "guide"), SVG points, and (x, y, text) of its marks."""

    name: str
    look: str
    points: str
    marks: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """Curves in a `WIDTH` x `HEIGHT` view box, and the rows of the table beside them."""

    title: str
    curves: tuple[Curve, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_name: str
    y_name: str
    summary: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def plot(
    title: str,
    curves: Sequence[tuple[str, str, Points]],
    *,
    x: tuple[str, float, float],
    y: tuple[str, float, float],
    summary: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
) -> Plot:
    """Lay out curves of (name, look, points).

    Parameters
    ----------
    x, y : name, lowest and highest value of an axis; what lies outside is drawn at its end
    columns, rows : the table beside the plot
    """

    def place(value: float, axis: tuple[str, float, float], start: float, end: float) -> float:
        _, low, high = axis
        share = (value - low) / (high - low) if high > low else 0.5
        return round(start + min(max(share, 0.0), 1.0) * (end - start), 1)

    drawn = []
    for name, look, points in curves:
        marks = tuple(
            (place(a, x, LEFT, WIDTH - RIGHT), place(b, y, HEIGHT - BOTTOM, TOP), f"{name}: {short(a)}, {short(b)}")
            for a, b in points
        )
        drawn.append(Curve(name, look, " ".join(f"{a},{b}" for a, b, _ in marks), marks))
    return Plot(
        title, tuple(drawn),
        tuple(Tick(place(at, x, LEFT, WIDTH - RIGHT), short(at)) for at in _ticks(x)),
        tuple(Tick(place(at, y, HEIGHT - BOTTOM, TOP), short(at)) for at in _ticks(y)),
        x[0], y[0], summary, tuple(columns), tuple(tuple(row) for row in rows),
    )  # fmt: skip


def short(value: float) -> str:
    """Three figures that count.

    >>> short(0.12345), short(100.0), short(2.5)
    ('0.123', '100', '2.5')
    """
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def nice_top(value: float) -> float:
    """The next of 1, 2, 2.5, 5, 10 times a power of ten.

    >>> nice_top(0.31), nice_top(3.0), nice_top(0.0)
    (0.5, 5.0, 1.0)
    """
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return round(next(step * power for step in (1.0, 2.0, 2.5, 5.0, 10.0) if step * power >= value * (1 - 1e-9)), 12)


def _ticks(axis: tuple[str, float, float]) -> list[float]:
    _, low, high = axis
    return [low + (high - low) * step / STEPS for step in range(STEPS + 1)]
