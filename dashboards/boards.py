"""What stands on each board: the tiles of a section over a range that the query string says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from dashboards import series
from dashboards.charts import Chart, line_chart
from dashboards.kpis import BY_KEY, KPIS, SECTIONS, Kpi
from dashboards.ranges import Range
from dashboards.series import KpiSeries, Point
from dashboards.stats.periods import Grain, before

RANGES_D: Final = (7, 14, 30, 90)
DEFAULT_RANGE_D: Final = 30
OVERVIEW: Final = "overview"
# Time spent never stands alone: what it may cost people is shown beside it.
KEY_METRICS: Final = ("dau", "watch_min_per_user")
GUARDRAILS: Final = ("night_share", "long_session_share", "regretted_share")
_OVERVIEW: Final = (*KEY_METRICS, *GUARDRAILS, "stickiness", "retention_d1", "retention_d7", "session_median_s", "ctr",
                    "completion_rate", "negative_rate")  # fmt: skip
BOARDS: Final = {OVERVIEW: "Overview", **SECTIONS}


@dataclass(frozen=True, slots=True)
class State:
    """What a page shows, as its query string says it: a copied address shows the same page."""

    days: int | None
    first: date
    last: date
    grain: Grain
    compare: bool
    breakdown: str | None = None
    only: str | None = None

    def query(self, **changes: Any) -> str:
        """The query string of this state with some of it changed."""
        values: dict[str, Any] = {
            "days": self.days, "from": None if self.days else self.first, "to": None if self.days else self.last,
            "grain": None if self.grain is Grain.DAY else self.grain, "compare": None if self.compare else "0",
            "breakdown": self.breakdown, "filter": self.only,
        }  # fmt: skip
        if changes.get("breakdown"):
            values["filter"] = None
        if "days" in changes:
            values |= {"from": None, "to": None}
        return urlencode({name: value for name, value in (values | changes).items() if value is not None})


@dataclass(frozen=True, slots=True)
class Tile:
    """One KPI on a board: its last complete value, its change, its chart and its rows."""

    kpi: Kpi
    series: KpiSeries
    latest: Point | None
    chart: Chart | None
    guardrail: bool

    @property
    def rows(self) -> list[Point]:
        """The points, newest first."""
        return list(reversed(self.series.total.points))


def keys_of(board: str) -> Sequence[str]:
    """The KPIs of a board."""
    return _OVERVIEW if board == OVERVIEW else [kpi.key for kpi in KPIS if kpi.section == board]


def tiles(board: str, state: State, *, now: datetime) -> list[Tile]:
    """The tiles of a board; a KPI that has no such grain is shown by day. What they share is read once."""
    ranges: dict[Grain, tuple[Range, Range | None]] = {}
    found = []
    for key in keys_of(board):
        kpi = BY_KEY[key]
        grain = state.grain if state.grain in kpi.grains else Grain.DAY
        if grain not in ranges:
            asked = Range(state.first, state.last, grain, now=now)
            earlier = Range(*before(state.first, state.last, grain), grain, now=now) if state.compare else None
            ranges[grain] = asked, earlier
        found.append(tile(kpi, *ranges[grain], guardrail=board == OVERVIEW and key in GUARDRAILS))
    return found


def tile(kpi: Kpi, asked: Range, earlier: Range | None = None, *, guardrail: bool = False) -> Tile:
    """One KPI over a range."""
    read = series.of(kpi, asked, earlier)
    known = [point for point in read.total.points if point.complete and point.value is not None]
    return Tile(kpi, read, known[-1] if known else None, line_chart(read), guardrail)


def range_before(last: date, days: int) -> date:
    """The first of so many days that end with one."""
    return last - timedelta(days=days - 1)
