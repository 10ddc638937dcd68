"""Pages of the dashboards: parse, read the rollups, render. For members of staff who may see KPI points."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from dashboards import behind, boards, charts, cohorts, live, ranges, series, signals, system
from dashboards.api_views import CONTENT_PERMISSION, PEOPLE_PERMISSION
from dashboards.boards import BOARDS, DEFAULT_RANGE_D, RANGES_D, State, range_before
from dashboards.cohorts import Mode
from dashboards.drift import LEAST_POSITIONS
from dashboards.kpis import BY_KEY, Kpi
from dashboards.query_params import MOST_DAYS, brackets_of, day_of, only_of
from dashboards.ranges import Range
from dashboards.stats.periods import Grain, before
from events.errors import ApiError

VIEW_PERMISSION: Final = "dashboards.view_kpipoint"
COHORT_COLUMNS: Final = 12
BRACKETS: Final = "1,2-3,4-7,8-14,15-30"
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def board_page(view: View[P]) -> View[P]:
    """A page of the dashboards: log in first, then the permission; nothing of it is kept by caches."""

    @wraps(view)
    def checked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not request.user.has_perm(VIEW_PERMISSION):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    guarded: View[P] = never_cache(staff_member_required(checked))
    return guarded


def state_of(request: HttpRequest, *, kpi: Kpi | None = None) -> State:
    """The state that a query string says; what it says wrongly is as if it said nothing."""
    params = request.GET
    raw = params.get("grain", "")
    allowed = kpi.grains if kpi else tuple(Grain)
    grain = Grain(raw) if raw in allowed else (Grain.DAY if Grain.DAY in allowed else allowed[0])
    measured = ranges.span()
    last = measured[1] if measured else datetime.now(ZoneInfo(settings.REPORTING_TIME_ZONE)).date()
    compare, breakdown = params.get("compare") != "0", params.get("breakdown")
    breakdown = breakdown if kpi and breakdown in kpi.dimensions else None
    only = _only(request, kpi, grain, breakdown)
    try:
        first, end = day_of(params["from"], "from"), day_of(params["to"], "to")
        if timedelta() <= end - first < timedelta(days=MOST_DAYS[grain]):
            return State(None, first, end, grain, compare, breakdown, only)
    except (KeyError, ApiError):
        pass
    asked = params.get("days", "")
    days = int(asked) if asked.isascii() and asked.isdecimal() and int(asked) in RANGES_D else DEFAULT_RANGE_D
    days = min(days, RANGES_D[1]) if grain is Grain.HOUR else days
    return State(days, range_before(last, days), last, grain, compare, breakdown, only)


def _only(request: HttpRequest, kpi: Kpi | None, grain: Grain, breakdown: str | None) -> str | None:
    """The filter as it was asked for, where it is one; a form may send the dimension and the values apart."""
    params = request.GET
    raw = params.get("filter") or ""
    if params.get("values", "").strip():
        values = ",".join(value.strip() for value in params["values"].split(","))
        raw = f"{params.get('by', '')}:{values}"
    if kpi is None or not raw or breakdown:
        return None
    try:
        return raw if only_of({"filter": raw}, kpi, grain) else None
    except ApiError:
        return None


def asked_of(state: State, kpi: Kpi) -> Range:
    """The range that a page of one KPI asks for."""
    only = only_of({"filter": state.only}, kpi, state.grain) if state.only else None
    return series.of_range(
        state.first, state.last, state.grain, now=timezone.now(), dimension=state.breakdown, only=only
    )


def context_of(state: State, **more: Any) -> dict[str, Any]:
    """What every page of the dashboards is rendered with."""
    measured = ranges.span()
    return {
        "state": state, "ranges": RANGES_D, "grains": tuple(Grain), "boards": BOARDS, "board": None,
        "time_zone": settings.REPORTING_TIME_ZONE, "measured": measured, "computed_at": ranges.computed_at(),
        "now": timezone.now(), **more,
    }  # fmt: skip


@board_page
def board(request: HttpRequest, name: str = boards.OVERVIEW) -> HttpResponse:
    """The tiles of one section."""
    if name not in BOARDS:
        raise Http404(f"there is no board {name!a}")
    state = state_of(request)
    tiles = boards.tiles(name, state, now=timezone.now()) if ranges.span() else []
    context = context_of(state, board=name, title=BOARDS[name], tiles=tiles)
    if name == "growth" and tiles:
        days = cohorts.days_active(state.last, window=28)
        context |= {"active_days": charts.active_days(days), "active_days_rows": list(enumerate(days, 1))}
    return render(request, "dashboards/board.html", context)


@board_page
def metric(request: HttpRequest, key: str) -> HttpResponse:
    """One KPI at large: by a breakdown, with its table, definition and SQL."""
    kpi = BY_KEY.get(key)
    if kpi is None:
        raise Http404(f"there is no KPI {key[:60]!a}")
    state = state_of(request, kpi=kpi)
    asked = asked_of(state, kpi)
    earlier = None
    if state.compare and state.breakdown is None:
        first, last = before(state.first, state.last, state.grain)
        earlier = asked_of(replace(state, first=first, last=last), kpi)
    tile = boards.tile(kpi, asked, earlier)
    kept = parse_qsl(state.query(filter=None, breakdown=None))
    context = context_of(state, board=kpi.section, kpi=kpi, tile=tile, drill=behind.can_show(kpi), kept=kept,
                       rows=list(zip(*(group.points for group in tile.series.groups), strict=True))[::-1])  # fmt: skip
    return render(request, "dashboards/metric.html", context)


@board_page
def chart_svg(request: HttpRequest, key: str) -> HttpResponse:
    """The chart of a KPI as a file by itself, with its colours in it."""
    kpi = BY_KEY.get(key)
    if kpi is None:
        raise Http404(f"there is no KPI {key[:60]!a}")
    state = state_of(request, kpi=kpi)
    tile = boards.tile(kpi, asked_of(state, kpi))
    if tile.chart is None:
        raise Http404("there is no value in this range")
    response = render(request, "dashboards/chart.svg", {"chart": tile.chart, "kpi": kpi}, content_type="image/svg+xml")
    response["Content-Disposition"] = f'attachment; filename="{kpi.key}_{state.first}_{state.last}.svg"'
    return response


@board_page
def retention(request: HttpRequest) -> HttpResponse:
    """Cohorts as a heat map."""
    state, params = state_of(request), request.GET
    grain = Grain(params["cohort"]) if params.get("cohort") in ("week", "month") else Grain.DAY
    mode = Mode(params["mode"]) if params.get("mode") in tuple(Mode) else Mode.N_DAY
    table = None
    if ranges.span():
        table = cohorts.retention(
            state.first, state.last, grain, now=timezone.now(), mode=mode, length=COHORT_COLUMNS,
            brackets=brackets_of(BRACKETS), first_seen=params.get("first_seen") != "0",
        )  # fmt: skip
    context = context_of(state, board="retention-table", table=table, mode=mode, cohort=grain, modes=tuple(Mode),
                       first_seen=params.get("first_seen") != "0")  # fmt: skip
    return render(request, "dashboards/retention.html", context)


@board_page
def drill(request: HttpRequest, key: str, day: str) -> HttpResponse:
    """The users or contents behind a point; without the permission to see profiles, users have no names."""
    kpi = BY_KEY.get(key)
    if kpi is None or not behind.can_show(kpi):
        raise Http404(f"nothing is listed behind {key[:60]!a}")
    try:
        first = day_of(day, "day")
    except ApiError as error:
        raise Http404(error.message) from None
    state = state_of(request, kpi=kpi)
    asked = behind.at(state.grain, kpi, first, now=timezone.now())
    found = behind.behind(kpi, asked)
    named = request.user.has_perm(PEOPLE_PERMISSION if found.kind == "users" else CONTENT_PERMISSION)
    context = context_of(state, board=kpi.section, kpi=kpi, found=found, named=named, period=asked.periods[0],
                       most=behind.MOST, grain=asked.grain)  # fmt: skip
    return render(request, "dashboards/behind.html", context)


@board_page
def live_page(request: HttpRequest) -> HttpResponse:
    """The last half hour per minute."""
    return render(request, "dashboards/live.html", context_of(state_of(request), board="live", **_minutes()))


@board_page
def live_part(request: HttpRequest) -> HttpResponse:
    """The part of that page that changes, for the page to refresh itself with."""
    return render(request, "dashboards/live_minutes.html", _minutes())


def _minutes() -> dict[str, Any]:
    minutes = live.minutes(timezone.now())
    events = [each.events for each in minutes]
    bars = charts.columns(
        events, [f"{each.start:%H:%M}: {each.events} events" for each in minutes],
        [f"{each.start:%H:%M}" for each in minutes], summary=f"{events[-1]} events in the running minute",
    )  # fmt: skip
    return {"minutes": minutes, "bars": bars}


@board_page
def system_page(request: HttpRequest) -> HttpResponse:
    """How the system itself does, now and over the last day."""
    now = timezone.now()
    readings = signals.readings(now - timedelta(days=1), now)
    trails = []
    for signal in signals.SIGNALS:
        values = [(f"{each.at:%H:%M}", each.values.get(signal.key)) for each in readings]
        trails.append((signal, values[-1][1] if values else None, charts.trail(values, unit=signal.unit)))
    context = context_of(
        state_of(request), board="system", health=system.health(now=now), trails=trails,
        drift=readings[-1].details if readings else None, least_positions=LEAST_POSITIONS,
    )  # fmt: skip
    return render(request, "dashboards/system.html", context)
