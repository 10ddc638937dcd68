"""Pages of the dashboards: parse, read the rollups, render."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from dashboards import kpis
from dashboards.charts import LineChart, line_chart

RANGES_D = (7, 14, 30, 90)
DEFAULT_RANGE_D = 30


@dataclass(frozen=True, slots=True)
class Tile:
    """One KPI on the page: its last complete value, the change against the period before, its chart and its rows."""

    kpi: kpis.Kpi
    value: float | None
    change_pct: float | None
    chart: LineChart | None
    rows: list[tuple[date, float | None]]


def _mean(points: list[tuple[date, float | None]]) -> float | None:
    values = [value for _, value in points if value is not None]
    return sum(values) / len(values) if values else None


def _tile(kpi: kpis.Kpi, *, last: date, days: int, today: date) -> Tile:
    points = kpis.series(kpi.key, first=last - timedelta(days=2 * days - 1), last=last)
    before, shown = points[:days], points[days:]
    complete = [(day, value) for day, value in shown if day < today]
    value = next((value for _, value in reversed(complete) if value is not None), None)
    now, then = _mean(complete), _mean(before)
    # A period that the log covers only in part is no measure for a whole one.
    comparable = all(value is not None for _, value in before)
    change = 100.0 * (now - then) / then if comparable and now is not None and then else None
    return Tile(kpi, value, change, line_chart(shown, incomplete=today), list(reversed(shown)))


def _range(request: HttpRequest) -> int:
    """The `days` of the query string where it is one of the offered ranges, else the default."""
    raw = request.GET.get("days", "")
    return int(raw) if raw.isdecimal() and int(raw) in RANGES_D else DEFAULT_RANGE_D


@staff_member_required
def overview(request: HttpRequest) -> HttpResponse:
    """Every KPI over the chosen range, ending on the newest day of the log."""
    days = _range(request)
    today = datetime.now(ZoneInfo(settings.REPORTING_TIME_ZONE)).date()
    last = kpis.last_day()
    context = {
        "days": days,
        "ranges": RANGES_D,
        "time_zone": settings.REPORTING_TIME_ZONE,
        "now": timezone.now(),
        "tiles": [_tile(kpi, last=last, days=days, today=today) for kpi in kpis.KPIS] if last else [],
        "totals": kpis.totals(first=last - timedelta(days=days - 1), last=last) if last else None,
        "last": last,
        "today": today,
    }
    return render(request, "dashboards/overview.html", context)
