"""Judge the rules of alerts on every day that has passed, each day once, and write down what changes.

The row of a rule is locked while it is judged, and remembers the last day: however many schedulers tick, each day is
judged by one of them. What is told to whom is written in the same transaction and sent by `notifications`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import blake2b
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from dashboards import notifications, ranges, series
from dashboards.alert_models import AlertIncident, AlertMoment, AlertRule, AlertSilence
from dashboards.kpis import BY_KEY
from dashboards.stats.alerting import MOST_ERRORS, SAME_WEEKDAYS, WEEK, Kind, State, Verdict, advance, judge
from dashboards.stats.periods import DAY, Grain, midnight

GRACE: Final = timedelta(hours=1)
"""A day is judged so long after its end: the last batches have come and are rolled up."""
MOST_DAYS_BEHIND: Final = 14
"""After a longer stop only the last days are judged; nobody acts on older ones."""
HISTORY_DAYS: Final = MOST_ERRORS + SAME_WEEKDAYS * WEEK + 1
CHART_DAYS: Final = 28
LONGEST_SILENCE: Final = timedelta(days=7)

DailyValue = tuple[date, float | None]


@dataclass(frozen=True, slots=True)
class AlertReport:
    """What a run did: days judged over all rules, incidents that began and ended."""

    judged: int
    fired: int
    resolved: int


def evaluate(*, now: datetime) -> AlertReport:
    """Judge every enabled rule on the days that have passed since it was judged last."""
    judged = fired = resolved = 0
    for key in AlertRule.objects.filter(enabled=True).order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            # Another scheduler is at it: its judgement is as good.
            rule = AlertRule.objects.select_for_update(skip_locked=True).filter(pk=key, enabled=True).first()
            if rule is None:
                continue
            for day in _days_due(rule, now):
                before = State(rule.state)
                _judge_day(rule, day, now=now)
                judged += 1
                fired += before is not State.FIRING and rule.state == State.FIRING
                resolved += before is State.FIRING and rule.state == State.RESOLVED
    return AlertReport(judged, fired, resolved)


def _days_due(rule: AlertRule, now: datetime) -> list[date]:
    zone = ZoneInfo(settings.REPORTING_TIME_ZONE)
    last = (now - GRACE).astimezone(zone).date() - DAY
    first = last if rule.judged_day is None else max(rule.judged_day + DAY, last - DAY * (MOST_DAYS_BEHIND - 1))
    return [first + DAY * n for n in range((last - first).days + 1)]


def _judge_day(rule: AlertRule, day: date, *, now: datetime) -> None:
    values = daily_values(rule.kpi, day, days=HISTORY_DAYS)
    kind = Kind(rule.kind)
    verdict = judge(kind, [value for _, value in values], rule.bound)
    if rule.least_users and (_users(day) or 0) < rule.least_users:
        verdict = Verdict(None, False, verdict.value, None, None, f"fewer than {rule.least_users} users")
    breaches = rule.breaches + 1 if verdict.breach else (0 if verdict.breach is False else rule.breaches)
    before = State(rule.state)
    after = advance(before, verdict, breaches=breaches, needed=rule.days_in_row)
    rule.state, rule.breaches, rule.judged_day, rule.said = after.value, breaches, day, verdict.reason
    rule.save(update_fields=["state", "breaches", "judged_day", "said"])
    if after is State.FIRING:
        _fire(rule, day, verdict, values[-CHART_DAYS:], now=now, anew=before is not State.FIRING)
    elif before is State.FIRING:
        _resolve(rule, verdict, now=now)


def daily_values(key: str, day: date, *, days: int) -> list[DailyValue]:
    """A KPI on so many days up to one, from the first day on that was measured."""
    kpi = BY_KEY[key]
    measured = ranges.span()
    first = day - DAY * (days - 1)
    first = first if measured is None else min(max(first, measured[0]), day)
    end = midnight(day + DAY, ZoneInfo(settings.REPORTING_TIME_ZONE))
    found = series.series(kpi, first, day, Grain.DAY, now=end)
    return [(point.period.first, point.value) for point in found.total.points]


def _users(day: date) -> float | None:
    return daily_values("active_users", day, days=1)[-1][1]


def fingerprint(rule: AlertRule) -> str:
    """What makes two firings the same incident: the rule and what it watches."""
    return blake2b(f"{rule.pk}\0{rule.kpi}".encode(), digest_size=16).hexdigest()


def _fire(
    rule: AlertRule,
    day: date,
    verdict: Verdict,
    chart: Sequence[tuple[date, float | None]],
    *,
    now: datetime,
    anew: bool,
) -> None:
    incident = AlertIncident.objects.filter(fingerprint=fingerprint(rule), resolved_at=None).first()
    if incident is None:
        incident = AlertIncident.objects.create(
            rule=rule, fingerprint=fingerprint(rule), first_day=day, last_day=day, value=verdict.value,
            expected=verdict.expected, reason=verdict.reason, fired_at=now,
            chart=[[str(each), value] for each, value in chart],
        )  # fmt: skip
    else:
        incident.last_day, incident.value, incident.reason = day, verdict.value, verdict.reason
        incident.save(update_fields=["last_day", "value", "reason"])
    _note(incident, "fired" if anew else "goes on", f"{day}: {verdict.reason}", now=now)
    # Who has acknowledged it knows.
    if anew or incident.acked_at is None:
        _tell(incident, "alert.fired", now=now)


def _resolve(rule: AlertRule, verdict: Verdict, *, now: datetime) -> None:
    for incident in AlertIncident.objects.filter(fingerprint=fingerprint(rule), resolved_at=None):
        incident.resolved_at = now
        incident.save(update_fields=["resolved_at"])
        _note(incident, "resolved", verdict.reason, now=now)
        _tell(incident, "alert.resolved", now=now)


def _tell(incident: AlertIncident, what: str, *, now: datetime) -> None:
    if is_silenced(incident.rule, now=now):
        _note(incident, "silenced", what, now=now)
        return
    notifications.announce(incident, what, now=now)


def _note(incident: AlertIncident, what: str, text: str, *, now: datetime, by: str = "") -> None:
    AlertMoment.objects.create(incident=incident, at=now, what=what, text=text, by=by)


def is_silenced(rule: AlertRule, *, now: datetime) -> bool:
    """Whether somebody asked for quiet about a rule."""
    return AlertSilence.objects.filter(Q(rule=rule) | Q(rule=None), start__lte=now, end__gt=now).exists()


@transaction.atomic
def acknowledge(ids: Sequence[int], *, by: str, note: str, now: datetime) -> int:
    """Say that somebody is at it; repetitions stop. Returns of how many open incidents that was news."""
    open_ones = AlertIncident.objects.select_for_update().filter(pk__in=ids, resolved_at=None, acked_at=None)
    found = list(open_ones)
    for incident in found:
        incident.acked_at, incident.acked_by, incident.note = now, by, note
        incident.save(update_fields=["acked_at", "acked_by", "note"])
        _note(incident, "acknowledged", note, now=now, by=by)
    return len(found)
