"""What follows from several days: whose first day it is, and the medians and coefficients of days, weeks and months.

Done after days were rebuilt, for those that say so themselves (`KpiDay.settled`): if a process dies in between, the
next one finds them.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from dashboards import numbering, user_days
from dashboards.day_build import ALL
from dashboards.models import KpiContent, KpiDay, KpiPoint, KpiUser
from dashboards.rollup_rows import ACTIVE, PUBLISHER, read_column, read_sets
from dashboards.stats import exposures
from dashboards.stats.exposures import CONTENT, CREATOR
from dashboards.stats.periods import DAY, Grain, Period, first_day, periods
from dashboards.stats.spread import quantile
from dashboards.stats.user_sets import Bits, bits_of, numbers_of, packed, unpacked
from events.activity_log import active_contents_uploaded_before

SETTLED_GRAINS: Final = (Grain.DAY, Grain.WEEK, Grain.MONTH)


def settle(zone: ZoneInfo, *, until: datetime) -> None:
    """Bring everything in line that days rebuilt since the last call may have changed."""
    unsettled = set(KpiDay.objects.filter(settled=False).values_list("day", flat=True))
    if not unsettled:
        return
    first = min(unsettled)
    last = KpiDay.objects.order_by("-day").values_list("day", flat=True)[0]
    changed = unsettled | _renew_users(first, last) | _renew_contents(first, last)
    for grain in SETTLED_GRAINS:
        for start in sorted({first_day(day, grain) for day in changed}):
            (period,) = periods(start, start, grain, zone)
            _put(period, grain, until=until)
    if KpiDay.objects.filter(lost=True).exists():
        _forget_nameless(last)
    KpiDay.objects.filter(day__in=unsettled).update(settled=True, lost=False)


def _renew_users(first: date, last: date) -> set[date]:
    """Give every user from `first` on the right first day; the days whose new users changed."""
    size = numbering.size_bytes()
    active = read_sets(ACTIVE, ALL, first, last, size)
    return _renew("new_users", {day: bits for (day, _), bits in active.items()}, first, last, size)


def _renew_contents(first: date, last: date) -> set[date]:
    """The same for contents and the first day on which they were shown."""
    shown = {day: exposures.unpacked(data)[CONTENT] for day, data in read_column("exposure", first, last).items()}
    newest = KpiContent.objects.order_by("-number").values_list("number", flat=True).first()
    size = (newest or 0) // 8 + 1
    sets = {day: bits_of(np.unique(contents), size) for day, contents in shown.items()}
    return _renew("new_contents", sets, first, last, size)


def _renew(column: str, came: dict[date, Bits], first: date, last: date, size: int) -> set[date]:
    """Replace who came first on the days from `first` on; the days on which that is somebody else now."""
    seen = np.zeros(size, np.uint8)
    for data in read_column(column, date.min, first - DAY).values():
        seen |= unpacked(data, size)
    known = {day: bytes(data) for day, data in read_column(column, first, last).items()}
    changed = set()
    for day in sorted(known):
        bits = came.get(day, np.zeros(size, np.uint8))
        new = packed(numbers_of(bits & ~seen))
        seen |= bits
        if new != known[day]:
            KpiDay.objects.filter(day=day).update(**{column: new})
            changed.add(day)
    return changed


def _put(period: Period, grain: Grain, *, until: datetime) -> None:
    """Replace the figures of one period."""
    figures = _figures(period, offered=active_contents_uploaded_before(min(period.end, until)))
    KpiPoint.objects.filter(grain=grain, start=period.start).delete()
    KpiPoint.objects.bulk_create([
        KpiPoint(grain=grain, start=period.start, day=period.first, kpi=kpi, value=value)
        for kpi, value in figures.items() if value is not None
    ])  # fmt: skip


def _figures(period: Period, *, offered: int) -> dict[str, float | None]:
    span = period.first, period.last
    watch_ms, session_ms = (_joined(read_column(name, *span).values()) for name in ("watch_ms", "session_ms"))
    exposure = {day: exposures.unpacked(data) for day, data in read_column("exposure", *span).items()}
    new = read_column("new_contents", *span)
    sizes = {day: (int(rows[CONTENT].max(initial=0)) // 8 + 1) for day, rows in exposure.items()}
    size = max(sizes.values(), default=1)
    first_shown = [numbers_of(unpacked(new[day], size)) for day in exposure]
    return {
        "session_median_s": _scaled(quantile(session_ms, 0.5), 1e3),
        "session_p90_s": _scaled(quantile(session_ms, 0.9), 1e3),
        "watch_median_min": _scaled(quantile(watch_ms, 0.5), 60e3),
        "watch_p90_min": _scaled(quantile(watch_ms, 0.9), 60e3),
        **exposures.figures(list(exposure.values()), first_shown, offered=offered),
    }


def _joined(columns: Iterable[memoryview]) -> NDArray[np.int32]:
    parts = [np.frombuffer(data, "<i4") for data in columns]
    return np.concatenate(parts) if parts else np.empty(0, np.int32)


def _scaled(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit


def _forget_nameless(last: date) -> None:
    """Drop the numbers of users and contents that no day names any more: they were erased from the log."""
    size = numbering.size_bytes()
    named = np.zeros(size, np.uint8)
    for role in (ACTIVE, PUBLISHER):
        for bits in read_sets(role, ALL, date.min, last, size).values():
            named |= bits
    for numbers in user_days.numbers():
        named |= bits_of(numbers, size)
    shown: set[int] = set()
    for data in read_column("exposure", date.min, last).values():
        rows = exposures.unpacked(data)
        named |= bits_of(rows[CREATOR][rows[CREATOR] >= 0], size)
        shown.update(rows[CONTENT].tolist())
    KpiUser.objects.exclude(number__in=numbers_of(named).tolist()).delete()
    KpiContent.objects.exclude(number__in=shown).delete()
