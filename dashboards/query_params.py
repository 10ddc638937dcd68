"""Query strings of the analyst's API and of the boards: strict, bounded, and every refusal names the value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings

from dashboards import ranges
from dashboards.funnels import MOST_STEPS
from dashboards.kpis import BY_KEY, Kpi
from dashboards.stats.periods import DAY, Grain
from events.cleaning.schema import EVENT_TYPES, show
from events.errors import InvalidRequest, NotFound

DEFAULT_DAYS: Final = 30
MOST_DAYS: Final = {Grain.HOUR: 31, Grain.DAY: 400, Grain.WEEK: 1_100, Grain.MONTH: 3_700}
FORMATS: Final = ("json", "csv")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_BRACKET: Final = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?")
MOST_BRACKETS: Final = 20
MOST_VALUES: Final = 50


@dataclass(frozen=True, slots=True)
class Span:
    """Days from `first` to `last`, both included."""

    first: date
    last: date


def kpi_of(key: str) -> Kpi:
    """The KPI with a key."""
    found = BY_KEY.get(key)
    if found is None:
        raise NotFound(f"there is no metric {show(key, 60)}; see /api/v1/metrics/definitions", code="unknown_metric")
    return found


def day_of(raw: str, field: str) -> date:
    """A calendar day."""
    try:
        if not _DATE.fullmatch(raw):
            raise ValueError
        found = date.fromisoformat(raw)
    except ValueError:
        message = f"{field} must be a day such as 2026-03-01; got {show(raw, 40)}"
        raise InvalidRequest(message, code="invalid_date", field=field) from None
    if not 1970 <= found.year <= 9000:
        raise InvalidRequest(f"{field} must lie after 1970; got {show(raw, 40)}", code="invalid_date", field=field)
    return found


def span_of(params: Mapping[str, Any], grain: Grain, *, now: datetime, most_days: int | None = None) -> Span:
    """`from` and `to`; by default the thirty days that end with the newest day that was measured."""
    measured = ranges.span()
    newest = measured[1] if measured else now.astimezone(ZoneInfo(settings.REPORTING_TIME_ZONE)).date()
    last = day_of(params["to"], "to") if "to" in params else newest
    first = day_of(params["from"], "from") if "from" in params else last - timedelta(days=DEFAULT_DAYS - 1)
    if first > last:
        raise InvalidRequest(f"from must not lie after to; got {first} and {last}", code="invalid_range", field="from")
    most = most_days or MOST_DAYS[grain]
    if (last - first) / DAY >= most:
        message = f"a range by {grain} has at most {most} days; got {first} to {last}"
        raise InvalidRequest(message, code="range_too_long", field="from")
    return Span(first, last)


def grain_of(params: Mapping[str, Any], kpi: Kpi | None = None) -> Grain:
    """`grain`, among those the KPI is defined for."""
    raw = params.get("grain", Grain.DAY)
    allowed = kpi.grains if kpi else tuple(Grain)
    if raw not in allowed:
        of = f" of {kpi.key}" if kpi else ""
        message = f"grain{of} must be one of {', '.join(allowed)}; got {show(str(raw), 40)}"
        raise InvalidRequest(message, code="invalid_grain", field="grain")
    return Grain(raw)


def dimension_of(params: Mapping[str, Any], kpi: Kpi) -> str | None:
    """`breakdown`, among what the KPI can be broken down by; None without one."""
    raw = params.get("breakdown")
    if raw is not None and raw not in kpi.dimensions:
        choices = ", ".join(kpi.dimensions) or "nothing"
        message = f"{kpi.key} can be broken down by {choices}; got {show(str(raw), 40)}"
        raise InvalidRequest(message, code="invalid_breakdown", field="breakdown")
    return raw


def only_of(params: Mapping[str, Any], kpi: Kpi, grain: Grain) -> tuple[str, tuple[str, ...]] | None:
    """`filter`, such as `country:DE,FR`: any of these values counts; None without one."""
    raw = params.get("filter")
    if raw is None:
        return None
    by, _, listed = raw.partition(":")
    values = tuple(listed.split(","))
    if by not in kpi.dimensions or not all(values) or len(values) > MOST_VALUES:
        choices = ", ".join(kpi.dimensions) or "nothing"
        message = f"filter is a dimension and 1 to {MOST_VALUES} values, such as country:DE,FR, and {kpi.key} has "
        message += f"{choices}; got {show(raw, 60)}"
        raise InvalidRequest(message, code="invalid_filter", field="filter")
    if params.get("breakdown"):
        message = "rollups know one dimension at a time: ask with filter or with breakdown"
        raise InvalidRequest(message, code="invalid_filter", field="filter")
    if grain is Grain.HOUR and len(values) > 1:
        raise InvalidRequest("by hour, filter takes one value", code="invalid_filter", field="filter")
    return by, values


def check_zone(params: Mapping[str, Any]) -> None:
    """`tz` names the reporting time zone or nothing: days of another zone are other days, and not rolled up."""
    raw = params.get("tz")
    if raw is not None and raw != settings.REPORTING_TIME_ZONE:
        zone = settings.REPORTING_TIME_ZONE
        message = f"figures are of days in {zone}, the project's REPORTING_TIME_ZONE; got tz={show(str(raw), 60)}"
        raise InvalidRequest(message, code="other_time_zone", field="tz", time_zone=zone)


def brackets_of(raw: str) -> tuple[tuple[int, int], ...]:
    """Spans such as `1,2-3,4-7`: ascending, and none overlaps another.

    >>> brackets_of("1,2-3")
    ((1, 1), (2, 3))
    """
    found: list[tuple[int, int]] = []
    for part in raw.split(","):
        match = _BRACKET.fullmatch(part) if part.isascii() else None
        a, b = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if a > b or (found and a <= found[-1][1]) or len(found) == MOST_BRACKETS:
            message = f"brackets must be ascending spans without overlap, such as 1,2-3,4-7; got {show(raw, 60)}"
            raise InvalidRequest(message, code="invalid_brackets", field="brackets")
        found.append((a, b))
    return tuple(found)


def steps_of(raw: str) -> tuple[str, ...]:
    """Two to six event types, in order."""
    steps = tuple(raw.split(","))
    for step in steps:
        if step not in EVENT_TYPES:
            message = f"a step is an event type such as view; got {show(step, 40)}"
            raise InvalidRequest(message, code="invalid_steps", field="steps")
    if not 2 <= len(steps) <= MOST_STEPS:
        message = f"a funnel has 2 to {MOST_STEPS} steps; got {len(steps)}"
        raise InvalidRequest(message, code="invalid_steps", field="steps")
    return steps
