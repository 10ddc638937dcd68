"""Line charts as server-rendered SVG: readable without scripts, printable, and safe under a strict content policy."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

WIDTH, HEIGHT, MARGIN = 320, 96, 6


@dataclass(frozen=True, slots=True)
class LineChart:
    """Geometry of one series in a `WIDTH` x `HEIGHT` view box.

    `segments` are SVG point lists, one per unbroken run of values, so that a missing day is a gap and not a zero;
    `pending` joins the last two points when the last one is still incomplete, to be drawn dashed.
    """

    segments: tuple[str, ...]
    pending: str
    dots: tuple[tuple[float, float, date, float], ...]
    low: float
    high: float


def line_chart(points: Sequence[tuple[date, float | None]], *, incomplete: date | None = None) -> LineChart | None:
    """Lay out a series; None when it has no value at all.

    The vertical axis starts at zero, so that a small change does not look like a large one. `incomplete` names the day
    that is still running.
    """
    values = [value for _, value in points if value is not None]
    if not values:
        return None
    high = max(values) or 1.0
    step = (WIDTH - 2 * MARGIN) / max(len(points) - 1, 1)

    def place(index: int, value: float) -> tuple[float, float]:
        return round(MARGIN + index * step, 1), round(HEIGHT - MARGIN - value / high * (HEIGHT - 2 * MARGIN), 1)

    runs: list[list[tuple[float, float]]] = [[]]
    dots, pending = [], ""
    for index, (day, value) in enumerate(points):
        if value is None:
            runs.append([])
            continue
        x, y = place(index, value)
        dots.append((x, y, day, value))
        if day == incomplete and runs[-1]:
            pending = f"{runs[-1][-1][0]},{runs[-1][-1][1]} {x},{y}"
        else:
            runs[-1].append((x, y))
    segments = tuple(" ".join(f"{x},{y}" for x, y in run) for run in runs if len(run) > 1)
    return LineChart(segments, pending, tuple(dots), low=0.0, high=high)
