"""Tables of the dashboards: one row per user and day, and the KPI points that charts read.

Both are rebuilt per day from the raw log, never incremented, so a replay or a late event cannot make them drift.
Written only by `kpis.py`.
"""

from django.db import models

from dashboards import moderation_models  # noqa: F401  Django looks for tables here


class UserDay(models.Model):
    """What one user did on one day of the reporting time zone."""

    day = models.DateField()
    user_id = models.TextField()
    active = models.BooleanField()
    impressions = models.IntegerField()
    clicked = models.IntegerField()
    engaged = models.IntegerField()
    views = models.IntegerField()
    completes = models.IntegerField()
    skips = models.IntegerField()
    negatives = models.IntegerField()
    sessions = models.IntegerField()
    watch_s = models.FloatField()

    class Meta:
        db_table = "user_day"
        constraints = (models.UniqueConstraint(fields=["day", "user_id"], name="user_day_once"),)
        indexes = (
            # kpis._first_days: retention asks for each user's first active day.
            models.Index(fields=["user_id", "day"], condition=models.Q(active=True), name="user_day_active"),
        )

    def __str__(self) -> str:
        return f"{self.user_id} on {self.day}"


class KpiPoint(models.Model):
    """The value of one KPI on one day; null where the definition has no value (a ratio over nothing)."""

    kpi = models.CharField(max_length=40)
    day = models.DateField()
    value = models.FloatField(null=True)
    computed_at = models.DateTimeField()

    class Meta:
        db_table = "kpi_point"
        verbose_name = "KPI point"
        constraints = (models.UniqueConstraint(fields=["kpi", "day"], name="kpi_point_once"),)

    def __str__(self) -> str:
        return f"{self.kpi} on {self.day}: {self.value}"


class KpiFill(models.Model):
    """A day that has rollups: when they were last computed, and from how many events of the log."""

    day = models.DateField(primary_key=True)
    log_rows = models.BigIntegerField()
    filled_at = models.DateTimeField()

    class Meta:
        db_table = "kpi_fill"

    def __str__(self) -> str:
        return f"{self.day}: {self.log_rows} events"
