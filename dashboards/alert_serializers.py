"""Shapes of alerts, real time, the system and funnels in the analyst's API."""

from typing import Any

from rest_framework import serializers

from dashboards.alert_models import AlertIncident, AlertRule
from dashboards.funnels import FunnelGroup


class RuleAnswer(serializers.Serializer[Any]):
    """A rule and what it last said."""

    name = serializers.CharField()
    watches = serializers.CharField(help_text="Key of a metric, or of a signal of the system.")
    grain = serializers.ChoiceField(choices=AlertRule.Grain.values)
    condition = serializers.CharField()
    bound = serializers.FloatField()
    in_row = serializers.IntegerField()
    least_users = serializers.IntegerField()
    severity = serializers.ChoiceField(choices=AlertRule.Severity.values)
    enabled = serializers.BooleanField()
    state = serializers.CharField()
    said = serializers.CharField(allow_blank=True)
    judged_until = serializers.DateTimeField(allow_null=True)
    quiet_under = serializers.CharField(allow_null=True)
    runbook = serializers.CharField(allow_blank=True)


class RulesAnswer(serializers.Serializer[Any]):
    """Every rule."""

    rules = RuleAnswer(many=True)


class MomentAnswer(serializers.Serializer[Any]):
    """A line of the timeline."""

    at = serializers.DateTimeField()
    what = serializers.CharField()
    by = serializers.CharField(allow_blank=True)
    text = serializers.CharField(allow_blank=True)


class IncidentAnswer(serializers.Serializer[Any]):
    """One firing of one rule."""

    id = serializers.IntegerField()
    rule = serializers.CharField()
    watches = serializers.CharField()
    severity = serializers.CharField()
    first_period = serializers.CharField()
    last_period = serializers.CharField()
    value = serializers.FloatField(allow_null=True)
    expected = serializers.FloatField(allow_null=True)
    reason = serializers.CharField()
    fired_at = serializers.DateTimeField()
    resolved_at = serializers.DateTimeField(allow_null=True)
    acked_at = serializers.DateTimeField(allow_null=True)
    acked_by = serializers.CharField(allow_blank=True)
    chart = serializers.ListField(child=serializers.ListField(), help_text="Period and value up to the firing.")
    timeline = MomentAnswer(many=True)


class IncidentsAnswer(serializers.Serializer[Any]):
    """Incidents, newest first."""

    incidents = IncidentAnswer(many=True)


class AckBody(serializers.Serializer[Any]):
    """What to write beside it."""

    note = serializers.CharField(max_length=200, allow_blank=True, required=False)


class MinuteAnswer(serializers.Serializer[Any]):
    """What happened in one minute."""

    start = serializers.DateTimeField()
    events = serializers.IntegerField()
    views = serializers.IntegerField()
    impressions = serializers.IntegerField()
    users = serializers.IntegerField()


class LiveAnswer(serializers.Serializer[Any]):
    """The last thirty minutes, the running one last."""

    minutes = MinuteAnswer(many=True)


class SignalAnswer(serializers.Serializer[Any]):
    """What a signal of the system is."""

    key = serializers.CharField()
    title = serializers.CharField()
    unit = serializers.CharField(allow_blank=True)
    definition = serializers.CharField()


class ReadingAnswer(serializers.Serializer[Any]):
    """One reading: a value for each signal, null where it cannot be told."""

    at = serializers.DateTimeField()
    values = serializers.DictField(child=serializers.FloatField(allow_null=True))


class SystemAnswer(serializers.Serializer[Any]):
    """Readings of five minutes, oldest first."""

    signals = SignalAnswer(many=True)
    readings = ReadingAnswer(many=True)


class StepAnswer(serializers.Serializer[Any]):
    """One step: users, their share of the first step and of the step before, the median time from the first step."""

    step = serializers.CharField()
    users = serializers.IntegerField(allow_null=True)
    of_first_pct = serializers.FloatField(allow_null=True)
    of_previous_pct = serializers.FloatField(allow_null=True)
    median_s = serializers.FloatField(allow_null=True)


class FunnelGroupAnswer(serializers.Serializer[Any]):
    """Everybody (`all`), or one country."""

    group = serializers.CharField()
    suppressed = serializers.BooleanField(help_text="Fewer than five users began.")
    steps = StepAnswer(many=True)


class FunnelAnswer(serializers.Serializer[Any]):
    """A funnel."""

    first = serializers.DateField()
    last = serializers.DateField()
    time_zone = serializers.CharField()
    within_hours = serializers.IntegerField()
    groups = FunnelGroupAnswer(many=True)


def rule_json(rule: AlertRule) -> dict[str, Any]:
    """A `RuleAnswer`."""
    names = ("name", "grain", "bound", "in_row", "least_users", "severity", "enabled", "state", "said", "judged_until",
             "runbook")  # fmt: skip
    return {
        **{name: getattr(rule, name) for name in names}, "watches": rule.kpi, "condition": rule.kind,
        "quiet_under": rule.quiet_under.name if rule.quiet_under else None,
    }  # fmt: skip


def incident_json(incident: AlertIncident) -> dict[str, Any]:
    """An `IncidentAnswer`."""
    names = ("first_period", "last_period", "value", "expected", "reason", "fired_at", "resolved_at", "acked_at",
             "acked_by", "chart")  # fmt: skip
    return {
        "id": incident.pk, "rule": incident.rule.name, "watches": incident.rule.kpi, "severity": incident.rule.severity,
        **{name: getattr(incident, name) for name in names},
        "timeline": [
            {"at": each.at, "what": each.what, "by": each.by, "text": each.text} for each in incident.timeline.all()
        ],
    }  # fmt: skip


def group_json(group: FunnelGroup, steps: tuple[str, ...]) -> dict[str, Any]:
    """A `FunnelGroupAnswer`."""
    users = group.funnel.users
    rows = [
        {
            "step": step, "users": None if group.suppressed else users[n],
            "of_first_pct": 100.0 * users[n] / users[0] if users[0] else None,
            "of_previous_pct": 100.0 * users[n] / users[n - 1] if n and users[n - 1] else None,
            "median_s": group.funnel.median_s[n],
        }
        for n, step in enumerate(steps)
    ]  # fmt: skip
    return {"group": group.name, "suppressed": group.suppressed, "steps": rows}
