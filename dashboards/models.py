"""Rollups of the dashboards: sums per hour and day, sets of users, figures that cannot be added up.

All are rebuilt by whole days from the raw log, never incremented, so a replay or a late event cannot make them drift.
Written by `rollup_rows`, `numbering` and `figures` only, and of one reporting time zone at a time.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from dashboards import (  # noqa: F401  Django looks for tables here
    alert_models,
    experiment_models,
    history_models,
    moderation_models,
    screening_models,
    signal_models,
    view_models,
)


class KpiDay(models.Model):
    """One day of the reporting time zone as it was last rebuilt, with what weeks and months are made of."""

    day = models.DateField(primary_key=True)
    zone = models.CharField(max_length=64, help_text="Reporting time zone.")
    log_rows = models.BigIntegerField(help_text="Events of the log, of people and of programs.")
    excluded_rows = models.BigIntegerField(help_text="Of these, by programs and staff, which no other figure counts.")
    late_rows = models.BigIntegerField(help_text="Events that came more than an hour after they happened.")
    carries = models.BooleanField(help_text="Whether it has clicks that may belong to what the day before showed.")
    session_mark = models.TextField(help_text="Tells whether the sessions of the day have changed since.")
    new_users = models.BinaryField(help_text="Users whose first active day it is; see stats.user_sets.")
    new_contents = models.BinaryField(help_text="Contents that were shown first on it; see stats.user_sets.")
    watch_ms = models.BinaryField(help_text="Of each active user, ascending; int32.")
    session_ms = models.BinaryField(help_text="Of each session, ascending; int32.")
    exposure = models.BinaryField(help_text="Of each content shown; int32 rows, see stats.exposures.")
    settled = models.BooleanField(help_text="Whether new users and the figures of its periods know it.")
    lost = models.BooleanField(help_text="Whether events were erased since it was settled.")
    filled_at = models.DateTimeField()

    class Meta:
        db_table = "kpi_day"
        verbose_name = "KPI day"

    def __str__(self) -> str:
        return f"{self.day}: {self.log_rows} events"


class KpiCell(models.Model):
    """Counts of one hour or day and one value of one dimension; see stats.measures for what they are.

    `day` is the day that was rebuilt. A click after midnight counts for the impression before, so a day also has cells
    of the day before it; cells of one start are added up.
    """

    pk = models.CompositePrimaryKey("dimension", "grain", "start", "value", "day")
    day = models.DateField(db_index=True)
    grain = models.CharField(max_length=4, choices=[("hour", "hour"), ("day", "day")])
    start = models.DateTimeField()
    dimension = models.CharField(max_length=16)
    value = models.TextField(help_text="Empty for none.")
    measures = ArrayField(models.BigIntegerField(), help_text="In the order of stats.measures.MEASURES.")

    class Meta:
        db_table = "kpi_cell"
        verbose_name = "KPI cell"

    def __str__(self) -> str:
        return f"{self.dimension} {self.value} at {self.start}"


class KpiUsers(models.Model):
    """Who was active on a day, or published something, with one value of one dimension; see stats.user_sets."""

    pk = models.CompositePrimaryKey("role", "dimension", "day", "value")
    role = models.CharField(max_length=16, choices=[("active", "active"), ("publisher", "publisher")])
    day = models.DateField(db_index=True)
    dimension = models.CharField(max_length=16)
    value = models.TextField(help_text="Empty for none.")
    users = models.BinaryField()

    class Meta:
        db_table = "kpi_users"
        verbose_name = "KPI users"
        verbose_name_plural = "KPI users"

    def __str__(self) -> str:
        return f"{self.role} with {self.dimension} {self.value} on {self.day}"


class KpiUserDay(models.Model):
    """What each user did on a day, for whoever has to tell users apart: experiments. See `user_days`."""

    day = models.DateField(primary_key=True)
    users = models.BinaryField(help_text="Numbers of the users, ascending; int32.")
    measures = models.BinaryField(
        help_text="int32 (measures, users), deflated, in the order of stats.measures.MEASURES."
    )

    class Meta:
        db_table = "kpi_user_day"
        verbose_name = "KPI user day"

    def __str__(self) -> str:
        return f"{len(self.users) // 4} users on {self.day}"


class KpiPoint(models.Model):
    """A figure of one period that cannot be added up from others (a median, a coefficient); null where it has none."""

    grain = models.CharField(max_length=8)
    start = models.DateTimeField()
    kpi = models.CharField(max_length=40)
    day = models.DateField(db_index=True, help_text="First day of the period.")
    value = models.FloatField(null=True)

    class Meta:
        db_table = "kpi_point"
        verbose_name = "KPI point"
        constraints = (models.UniqueConstraint(fields=["kpi", "grain", "start"], name="kpi_point_once"),)

    def __str__(self) -> str:
        return f"{self.kpi} of the {self.grain} from {self.start}: {self.value}"


class KpiUser(models.Model):
    """The number of a user in the sets; forgotten with the user's last day."""

    number = models.IntegerField(primary_key=True)
    name = models.TextField(unique=True, help_text="User id.")

    class Meta:
        db_table = "kpi_user"
        verbose_name = "KPI user"

    def __str__(self) -> str:
        return self.name


class KpiContent(models.Model):
    """The number of a content among the exposures; forgotten with the last day it was shown on."""

    number = models.IntegerField(primary_key=True)
    name = models.TextField(unique=True, help_text="Content id.")

    class Meta:
        db_table = "kpi_content"
        verbose_name = "KPI content"

    def __str__(self) -> str:
        return self.name
