"""Tables of alerts: rules, incidents with their timeline, silences, channels and what is sent through them.

Written by `alerts` and `notifications`, and by the admin where people set up rules and channels.
"""

from django.core.validators import MinValueValidator
from django.db import models

from dashboards.stats.alerting import Kind, State


class AlertRule(models.Model):
    """What is watched: one KPI by day or hour, or one signal of the system by reading; one condition."""

    class Grain(models.TextChoices):
        DAY = "day"
        HOUR = "hour"
        READING = "reading", "reading (five minutes)"

    class Severity(models.TextChoices):
        PAGE = "page"
        TICKET = "ticket"
        INFO = "info"

    name = models.CharField(max_length=80, unique=True)
    kpi = models.CharField(max_length=40, help_text="Key of a KPI, or of a signal of the system.")
    grain = models.CharField(max_length=8, choices=Grain, default=Grain.DAY, help_text="What is judged, once over.")
    kind = models.CharField(max_length=16, choices=[(each.value, each.value) for each in Kind])
    bound = models.FloatField(help_text="Value, percent of change, or robust z; unused where no data is the condition.")
    in_row = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1)], help_text="So many periods have to breach before it fires."
    )
    least_users = models.PositiveIntegerField(
        default=0, help_text="Days or hours with fewer active users are not judged."
    )
    severity = models.CharField(max_length=8, choices=Severity, default=Severity.TICKET)
    quiet_under = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+",
        help_text="While that rule fires, this one tells nobody: the one explains the other.",
    )  # fmt: skip
    runbook = models.CharField(max_length=200, blank=True, default="", help_text="Where it says what to do.")
    enabled = models.BooleanField(default=True)
    state = models.CharField(
        max_length=8, choices=[(each.value, each.value) for each in State], default=State.OK.value, editable=False
    )
    breaches = models.PositiveSmallIntegerField(default=0, editable=False, help_text="In a row, up to the last period.")
    judged_until = models.DateTimeField(null=True, editable=False, help_text="End of the last period that was judged.")
    said = models.TextField(default="", editable=False, help_text="What the last judgement said.")

    class Meta:
        db_table = "alert_rule"

    def __str__(self) -> str:
        return self.name


class AlertIncident(models.Model):
    """One firing of one rule, from its first period to its end; open ones are unique by fingerprint."""

    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE)
    fingerprint = models.CharField(max_length=32)
    first_period = models.CharField(max_length=32, help_text="The day, hour or moment that made it fire.")
    last_period = models.CharField(max_length=32)
    value = models.FloatField(null=True)
    expected = models.FloatField(null=True)
    reason = models.TextField()
    chart = models.JSONField(default=list, help_text="Period and value of what came before it fired.")
    fired_at = models.DateTimeField()
    told_at = models.DateTimeField(null=True, help_text="When the channels were told last.")
    resolved_at = models.DateTimeField(null=True)
    acked_at = models.DateTimeField(null=True)
    acked_by = models.CharField(max_length=150, default="", blank=True)
    note = models.TextField(default="", blank=True)

    class Meta:
        db_table = "alert_incident"
        constraints = (
            models.UniqueConstraint(
                fields=["fingerprint"], condition=models.Q(resolved_at=None), name="alert_incident_open"
            ),
        )
        permissions = (("ack_alertincident", "Can acknowledge incidents"),)

    def __str__(self) -> str:
        return f"{self.rule}: {self.reason}"


class AlertMoment(models.Model):
    """One line of an incident's timeline."""

    incident = models.ForeignKey(AlertIncident, on_delete=models.CASCADE, related_name="timeline")
    at = models.DateTimeField()
    what = models.CharField(max_length=16)
    by = models.CharField(max_length=150, default="", blank=True)
    text = models.TextField(default="", blank=True)

    class Meta:
        db_table = "alert_moment"
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.what}: {self.text}"


class AlertSilence(models.Model):
    """A span of time in which a rule, or all of them, tell nobody. Incidents are written down all the same."""

    rule = models.ForeignKey(AlertRule, null=True, blank=True, on_delete=models.CASCADE, help_text="Empty: all rules.")
    start = models.DateTimeField()
    end = models.DateTimeField()
    author = models.CharField(max_length=150, editable=False)
    comment = models.CharField(max_length=200)

    class Meta:
        db_table = "alert_silence"

    def __str__(self) -> str:
        return f"{self.rule or 'all rules'} until {self.end:%Y-%m-%d %H:%M}"


class AlertChannel(models.Model):
    """Where alerts are sent: an e-mail address, or a webhook that is signed with its secret."""

    class Kind(models.TextChoices):
        EMAIL = "email"
        WEBHOOK = "webhook"

    name = models.CharField(max_length=80, unique=True)
    kind = models.CharField(max_length=8, choices=Kind)
    target = models.CharField(max_length=500, help_text="Address, or the https URL of the webhook.")
    secret = models.CharField(max_length=80, blank=True, editable=False, help_text="whsec_..., made once.")
    enabled = models.BooleanField(default=True)
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="In a row; 0 after each success.")

    class Meta:
        db_table = "alert_channel"

    def __str__(self) -> str:
        return self.name


class AlertDelivery(models.Model):
    """One message to one channel; tried again with growing pauses until it is sent or given up."""

    class State(models.TextChoices):
        WAITING = "waiting"
        SENT = "sent"
        GIVEN_UP = "given up"

    channel = models.ForeignKey(AlertChannel, on_delete=models.CASCADE)
    incident = models.ForeignKey(AlertIncident, null=True, on_delete=models.CASCADE)
    message = models.UUIDField(unique=True, help_text="Sent with every attempt, so that a receiver knows a repetition.")
    body = models.JSONField()
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    made_at = models.DateTimeField()
    next_at = models.DateTimeField()
    error = models.TextField(default="")

    class Meta:
        db_table = "alert_delivery"
        verbose_name_plural = "alert deliveries"
        indexes = (
            # notifications.deliver: what is due.
            models.Index(fields=["next_at"], condition=models.Q(state="waiting"), name="alert_delivery_due"),
        )

    def __str__(self) -> str:
        return f"{self.channel} {self.state}"
