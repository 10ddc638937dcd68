"""Judge the rules of alerts on every period that has passed, each once, and write down what changes.

The row of a rule is locked while it is judged, and remembers the last period: however many schedulers tick, each is
judged by one of them. What is told to whom is written in the same transaction and sent by `notifications`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final

from django.db import transaction
from django.db.models import F, Q

from dashboards import notifications
from dashboards.alert_models import AlertIncident, AlertMoment, AlertRule, AlertSilence
from dashboards.alert_values import CHARTED, Watched, due, kpi_values, values, week_of
from dashboards.stats.alerting import Kind, State, Verdict, advance, judge
from dashboards.stats.periods import Grain

REPEAT: Final = timedelta(hours=4)
"""What fires on and nobody has acknowledged is told again after so long."""
LONGEST_SILENCE: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class AlertReport:
    """What a run did: periods judged over all rules, incidents that began and ended."""

    judged: int
    fired: int
    resolved: int


def evaluate(*, now: datetime) -> AlertReport:
    """Judge every enabled rule on the periods that have passed since it was judged last.

    Rules that keep others quiet come first, so that they already fire when those are judged.
    """
    judged = fired = resolved = 0
    ordered = AlertRule.objects.filter(enabled=True).order_by(F("quiet_under").asc(nulls_first=True), "pk")
    for key in ordered.values_list("pk", flat=True):
        with transaction.atomic():
            # Another scheduler is at it: its judgement is as good.
            rows = AlertRule.objects.select_for_update(skip_locked=True, of=("self",)).select_related("quiet_under")
            rule = rows.filter(pk=key, enabled=True).first()
            if rule is None:
                continue
            for end in due(rule, now):
                before = State(rule.state)
                _judge_period(rule, end, now=now)
                judged += 1
                fired += before is not State.FIRING and rule.state == State.FIRING
                resolved += before is State.FIRING and rule.state == State.RESOLVED
    return AlertReport(judged, fired, resolved)


def _judge_period(rule: AlertRule, end: datetime, *, now: datetime) -> None:
    watched = values(rule, end)
    verdict = judge(Kind(rule.kind), [each.value for each in watched], rule.bound, week=week_of(rule))
    if rule.least_users and rule.grain != AlertRule.Grain.READING and _users(rule, end) < rule.least_users:
        verdict = Verdict(None, False, verdict.value, None, None, f"fewer than {rule.least_users} users")
    breaches = rule.breaches + 1 if verdict.breach else (0 if verdict.breach is False else rule.breaches)
    before = State(rule.state)
    after = advance(before, verdict, breaches=breaches, needed=rule.in_row)
    rule.state, rule.breaches, rule.judged_until, rule.said = after.value, breaches, end, verdict.reason
    rule.save(update_fields=["state", "breaches", "judged_until", "said"])
    if after is State.FIRING and verdict.breach is not None:
        chart = watched[-CHARTED[AlertRule.Grain(rule.grain)] :]
        _fire(rule, verdict, chart, now=now, anew=before is not State.FIRING)
    elif before is State.FIRING and after is not State.FIRING:
        _resolve(rule, verdict, now=now)


def _users(rule: AlertRule, end: datetime) -> float:
    return kpi_values("active_users", Grain(rule.grain), end, count=1)[-1].value or 0.0


def fingerprint(rule: AlertRule) -> str:
    """What makes two firings the same incident: the rule and what it watches."""
    return blake2b(f"{rule.pk}\0{rule.kpi}".encode(), digest_size=16).hexdigest()


def _fire(rule: AlertRule, verdict: Verdict, chart: Sequence[Watched], *, now: datetime, anew: bool) -> None:
    period = chart[-1].period
    incident = AlertIncident.objects.filter(fingerprint=fingerprint(rule), resolved_at=None).first()
    if incident is None:
        incident = AlertIncident.objects.create(
            rule=rule, fingerprint=fingerprint(rule), first_period=period, last_period=period, value=verdict.value,
            expected=verdict.expected, reason=verdict.reason, fired_at=now,
            chart=[[each.period, each.value] for each in chart],
        )  # fmt: skip
    else:
        incident.last_period, incident.value, incident.reason = period, verdict.value, verdict.reason
        incident.save(update_fields=["last_period", "value", "reason"])
    # Who has acknowledged it knows.
    repeated = incident.acked_at is None and (incident.told_at is None or now - incident.told_at >= REPEAT)
    if anew or rule.grain == AlertRule.Grain.DAY or repeated:
        _note(incident, "fired" if anew else "goes on", f"{period}: {verdict.reason}", now=now)
    if anew or repeated:
        _tell(incident, "alert.fired", now=now)


def _resolve(rule: AlertRule, verdict: Verdict, *, now: datetime) -> None:
    for incident in AlertIncident.objects.filter(fingerprint=fingerprint(rule), resolved_at=None):
        incident.resolved_at = now
        incident.save(update_fields=["resolved_at"])
        _note(incident, "resolved", verdict.reason, now=now)
        _tell(incident, "alert.resolved", now=now)


def _tell(incident: AlertIncident, what: str, *, now: datetime) -> None:
    incident.told_at = now
    incident.save(update_fields=["told_at"])
    cause = incident.rule.quiet_under
    if is_silenced(incident.rule, now=now):
        _note(incident, "silenced", what, now=now)
    elif cause is not None and cause.enabled and cause.state == State.FIRING:
        _note(incident, "kept quiet", f"{what}: {cause.name} fires", now=now)
    else:
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
