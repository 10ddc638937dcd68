"""Tables of the system's own figures: a reading every few minutes, and what drift is measured against.

Written by `signals` and `drift` only.
"""

from django.db import models


class SystemReading(models.Model):
    """How the system did since the reading before: one value per signal, null where it cannot be told."""

    at = models.DateTimeField(primary_key=True)
    values = models.JSONField(help_text="Signal to value; see signals.SIGNALS.")
    details = models.JSONField(
        help_text="What the web workers had counted by then, which the next reading subtracts; what drifts most."
    )

    class Meta:
        db_table = "system_reading"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M}"


class DriftBaseline(models.Model):
    """How one column was distributed when its model began: a feature, or the score itself."""

    key = models.CharField(max_length=64, help_text="Feature set, or version of the model whose score it is.")
    column = models.CharField(max_length=80)
    edges = models.JSONField(help_text="Inner edges of the bins.")
    shares = models.JSONField()
    positions = models.PositiveIntegerField(help_text="Served positions it was drawn from.")
    made_at = models.DateTimeField()

    class Meta:
        db_table = "drift_baseline"
        constraints = (models.UniqueConstraint(fields=["key", "column"], name="drift_baseline_once"),)

    def __str__(self) -> str:
        return f"{self.column} of {self.key}"
