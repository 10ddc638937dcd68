"""Tables of experiments: what is tried, who was exposed to which arm, and the log of decisions.

Written only by `experiment_lifecycle` (Experiment, ExperimentDecision) and by the log of served pages (Exposure).
"""

from django.db import models


class Experiment(models.Model):
    """One question to the users: arms, of which the first is control, and what is judged by.

    `arms`, weights and namespace never change while it runs; coverage may only grow. A new phase draws everybody anew.
    """

    class State(models.TextChoices):
        DRAFT = "draft"
        RUNNING = "running"
        STOPPED = "stopped"
        SHIPPED = "shipped"

    key = models.SlugField(max_length=32, primary_key=True, help_text="Part of the seed, so it never changes.")
    title = models.CharField(max_length=120)
    hypothesis = models.TextField(blank=True, default="")
    owner = models.CharField(max_length=150)
    state = models.CharField(max_length=8, choices=State, default=State.DRAFT)
    phase = models.PositiveSmallIntegerField(default=1)
    arms = models.JSONField(help_text="[{key, weight, overrides, payload}], control first.")
    coverage = models.FloatField(default=1.0, help_text="Share of the users who take part.")
    namespace = models.CharField(max_length=32, blank=True, default="", help_text="Experiments of one exclude others.")
    namespace_from = models.FloatField(default=0.0)
    namespace_to = models.FloatField(default=1.0)
    chosen = models.JSONField(default=dict, blank=True, help_text="User to arm, for staff; never counted.")
    goals = models.JSONField(default=list, help_text="Metrics that decide, at most three.")
    guardrails = models.JSONField(default=list, help_text="[{metric, margin}]: what stops it by itself.")
    alpha = models.FloatField(default=0.05)
    tuned_for = models.PositiveIntegerField(default=5000, help_text="Users at which its intervals are tightest.")
    plan = models.JSONField(default=dict, blank=True, help_text="What it needs, as computed before the start.")
    winner = models.CharField(max_length=32, blank=True, default="", help_text="The arm that was shipped.")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True, help_text="Of the phase.")
    stopped_at = models.DateTimeField(null=True, blank=True)
    shipped_at = models.DateTimeField(null=True, blank=True)
    revision = models.PositiveIntegerField(default=1, help_text="Raised by every change; web workers look at it.")

    class Meta:
        db_table = "experiment"
        permissions = (("run_experiment", "Can start, stop and ship experiments"),)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(coverage__gte=0.0, coverage__lte=1.0), name="experiment_coverage_share"
            ),
            models.CheckConstraint(
                condition=models.Q(namespace_from__gte=0.0, namespace_to__lte=1.0)
                & models.Q(namespace_from__lt=models.F("namespace_to")),
                name="experiment_namespace_range",
            ),
        )

    def __str__(self) -> str:
        return f"{self.key} ({self.state})"


class Exposure(models.Model):
    """A user to whom an arm happened: the first feed that it could act on.

    A user with two rows of one phase met two arms (a device that became somebody), and is counted in neither.
    """

    pk = models.CompositePrimaryKey("experiment", "phase", "user_id", "arm")
    experiment = models.CharField(max_length=32)
    phase = models.PositiveSmallIntegerField()
    user_id = models.TextField()
    arm = models.CharField(max_length=32)
    exposed_at = models.DateTimeField()

    class Meta:
        db_table = "exposure"
        indexes = (
            # Merging and erasing a user.
            models.Index(fields=["user_id"], name="exposure_user"),
        )

    def __str__(self) -> str:
        return f"{self.experiment}/{self.phase} {self.user_id}: {self.arm}"


class ExperimentDecision(models.Model):
    """What was decided about an experiment, by whom, why, and what the numbers were then. Rows are never changed: the
    table refuses it by itself."""

    experiment = models.CharField(max_length=32)
    phase = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=16)
    by = models.CharField(max_length=150)
    reason = models.TextField()
    numbers = models.JSONField(default=dict)
    at = models.DateTimeField()

    class Meta:
        db_table = "experiment_decision"
        indexes = (models.Index(fields=["experiment", "id"], name="experiment_decision_of"),)
        constraints = (
            models.CheckConstraint(
                condition=~models.Q(by="") & ~models.Q(reason=""), name="experiment_decision_signed"
            ),
        )

    def __str__(self) -> str:
        return f"{self.experiment}: {self.kind} by {self.by}"
