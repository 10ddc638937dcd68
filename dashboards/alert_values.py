"""What a rule watches: the periods that are over and not judged yet, and the values up to one of them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings

from dashboards import ranges, series, signals
from dashboards.alert_models import AlertRule
from dashboards.kpis import BY_KEY
from dashboards.stats.alerting import WEEK, history
from dashboards.stats.periods import DAY, HOUR, Grain, midnight

GRACE: Final = {Grain.DAY: timedelta(hours=1), Grain.HOUR: timedelta(minutes=20)}
"""A period is judged so long after its end: the last batches have come and are rolled up."""
MOST_BEHIND: Final = {AlertRule.Grain.DAY: 14, AlertRule.Grain.HOUR: 24, AlertRule.Grain.READING: 12}
"""After a longer stop only the last periods are judged; nobody acts on older ones."""
CHARTED: Final = {AlertRule.Grain.DAY: 28, AlertRule.Grain.HOUR: 48, AlertRule.Grain.READING: 72}


@dataclass(frozen=True, slots=True)
class Watched:
    """One period of what is watched, as its incidents name it."""

    period: str
    end: datetime
    value: float | None


def week_of(rule: AlertRule) -> int:
    """Periods of a week."""
    return WEEK if rule.grain == AlertRule.Grain.DAY else 24 * WEEK


def due(rule: AlertRule, now: datetime) -> list[datetime]:
    """Ends of the periods that a rule has to judge, oldest first; a new rule begins with the last one."""
    most = MOST_BEHIND[AlertRule.Grain(rule.grain)]
    if rule.grain == AlertRule.Grain.READING:
        earliest = max(rule.judged_until or now - signals.EVERY, now - signals.EVERY * most)
        return [reading.at for reading in signals.readings(earliest, now)]
    if rule.grain == AlertRule.Grain.HOUR:
        # Hours are those of UTC; a zone of a half hour has its own, which begin a half hour later.
        last = _hour_before(now - GRACE[Grain.HOUR])
        step = HOUR
    else:
        zone = ZoneInfo(settings.REPORTING_TIME_ZONE)
        last, step = midnight((now - GRACE[Grain.DAY]).astimezone(zone).date(), zone), DAY
    ends = [last]
    while rule.judged_until is not None and len(ends) < most and ends[0] > rule.judged_until:
        ends.insert(0, _earlier(ends[0], step))
    return [end for end in ends if rule.judged_until is None or end > rule.judged_until]


def _hour_before(moment: datetime) -> datetime:
    """The last full hour of the reporting time zone, in UTC."""
    local = moment.astimezone(ZoneInfo(settings.REPORTING_TIME_ZONE))
    return local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)


def _earlier(end: datetime, step: timedelta) -> datetime:
    """The end of the period before: days have 23 or 25 hours when the clocks change."""
    if step == HOUR:
        return end - HOUR
    zone = ZoneInfo(settings.REPORTING_TIME_ZONE)
    return midnight(end.astimezone(zone).date() - DAY, zone)


def values(rule: AlertRule, end: datetime) -> list[Watched]:
    """Consecutive periods up to the one that ends at a moment, as many as a verdict looks at."""
    if rule.grain == AlertRule.Grain.READING:
        back = signals.EVERY * CHARTED[AlertRule.Grain.READING]
        found = signals.readings(end - back, end)
        return [Watched(f"{each.at:%Y-%m-%d %H:%M} UTC", each.at, each.values.get(rule.kpi)) for each in found]
    return kpi_values(rule.kpi, Grain(rule.grain), end, count=history(week_of(rule)))


def kpi_values(key: str, grain: Grain, end: datetime, *, count: int) -> list[Watched]:
    """A KPI in so many periods up to the one that ends at a moment, from the first that was measured."""
    zone = ZoneInfo(settings.REPORTING_TIME_ZONE)
    last = (end - timedelta(seconds=1)).astimezone(zone).date()
    measured = ranges.span()
    first = last - DAY * (count - 1 if grain is Grain.DAY else -(-count // 24))
    first = first if measured is None else min(max(first, measured[0]), last)
    found = series.series(BY_KEY[key], first, last, grain, now=end)
    points = [point for point in found.total.points if point.period.end <= end][-count:]
    label = "%Y-%m-%d" if grain is Grain.DAY else "%Y-%m-%d %H:%M"
    return [Watched(f"{each.period.start.astimezone(zone):{label}}", each.period.end, each.value) for each in points]
