"""Alerts by hour and by reading beside those by day, the system's own figures as what they watch, drift baselines."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

RUNBOOK = "docs/runbooks.md"
# Name, what, grain, condition, bound, periods in a row, least users, severity.
RULES = (
    ("The feed is slow", "feed_p95_ms", "reading", "above", 300.0, 3, 0, "page"),
    ("Feeds fall back", "fallback_pct", "reading", "above", 5.0, 3, 0, "ticket"),
    ("Requests fail", "error_pct", "reading", "above", 1.0, 2, 0, "page"),
    ("Events come late", "ingest_lag_s", "reading", "above", 120.0, 3, 0, "ticket"),
    ("Refused events pile up", "dead_letters", "reading", "above", 1000.0, 3, 0, "ticket"),
    ("Jobs pile up", "queued", "reading", "above", 200.0, 3, 0, "ticket"),
    ("Derived rows fall behind", "window_lag_s", "reading", "above", 7200.0, 3, 0, "ticket"),
    ("The model is old", "model_age_h", "reading", "above", 48.0, 3, 0, "ticket"),
    ("Scores drift", "drift_score_psi", "reading", "above", 0.25, 3, 0, "ticket"),
    ("Features drift", "drift_features_pct", "reading", "above", 20.0, 3, 0, "ticket"),
    ("Reports wait", "report_wait_h", "reading", "above", 24.0, 3, 0, "page"),
    ("Reports are many", "report_rate", "hour", "above", 10.0, 2, 50, "page"),
    ("Active users fell this hour", "active_users", "hour", "weekday_change", 50.0, 2, 100, "ticket"),
    ("Nobody comes", "active_users", "hour", "no_data", 0.0, 2, 0, "page"),
)
# Section of docs/runbooks.md of each rule.
SECTIONS = {
    "The feed is slow": "feedlatencyp95", "Feeds fall back": "feedfallbackratio", "Requests fail": "higherrorratefast",
    "Events come late": "ingestlag", "Refused events pile up": "deadlettersgrowing", "Jobs pile up": "queuestuck",
    "Derived rows fall behind": "windowlag", "The model is old": "modelstale", "Scores drift": "scoredrift",
    "Features drift": "featuredrift", "Reports wait": "reportswait", "Reports are many": "reportswait",
    "Active users fell this hour": "activeusers", "Nobody comes": "noeventsreceived",
    "Nobody came": "noeventsreceived", "Active users are unusual": "activeusers", "Active users fell": "activeusers",
    "Time spent is unusual": "timespent", "Negative feedback is high": "negativefeedback",
    "Much time is regretted": "negativefeedback",
}
# While the second fires, the first tells nobody.
QUIET = (
    ("Active users are unusual", "Nobody came"), ("Active users fell", "Nobody came"),
    ("Time spent is unusual", "Nobody came"), ("Active users fell this hour", "Nobody comes"),
)


def add_rules(apps, schema_editor):
    names = ("name", "kpi", "grain", "kind", "bound", "in_row", "least_users", "severity")
    rule = apps.get_model("dashboards", "AlertRule")
    known = set(rule.objects.values_list("name", flat=True))
    rule.objects.bulk_create([rule(**dict(zip(names, each))) for each in RULES if each[0] not in known])
    for name, section in SECTIONS.items():
        rule.objects.filter(name=name, runbook="").update(runbook=f"{RUNBOOK}#{section}")
    by_name = {each.name: each for each in rule.objects.all()}
    for quiet, cause in QUIET:
        if quiet in by_name and cause in by_name:
            rule.objects.filter(name=quiet).update(quiet_under=by_name[cause])


def keep_what_was_judged(apps, schema_editor):
    zone = ZoneInfo(settings.REPORTING_TIME_ZONE)
    for rule in apps.get_model("dashboards", "AlertRule").objects.exclude(judged_day=None):
        rule.judged_until = datetime.combine(rule.judged_day + timedelta(days=1), time(), zone)
        rule.save(update_fields=["judged_until"])


class Migration(migrations.Migration):
    dependencies = [("dashboards", "0011_alerts")]

    operations = [
        migrations.CreateModel(
            name="SystemReading",
            fields=[
                ("at", models.DateTimeField(primary_key=True, serialize=False)),
                ("values", models.JSONField(help_text="Signal to value; see signals.SIGNALS.")),
                (
                    "details",
                    models.JSONField(
                        help_text="What the web workers had counted by then, which the next reading subtracts; what "
                        "drifts most."
                    ),
                ),
            ],
            options={"db_table": "system_reading"},
        ),
        migrations.CreateModel(
            name="DriftBaseline",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "key",
                    models.CharField(
                        help_text="Feature set, or version of the model whose score it is.", max_length=64
                    ),
                ),
                ("column", models.CharField(max_length=80)),
                ("edges", models.JSONField(help_text="Inner edges of the bins.")),
                ("shares", models.JSONField()),
                ("positions", models.PositiveIntegerField(help_text="Served positions it was drawn from.")),
                ("made_at", models.DateTimeField()),
            ],
            options={
                "db_table": "drift_baseline",
                "constraints": [models.UniqueConstraint(fields=("key", "column"), name="drift_baseline_once")],
            },
        ),
        migrations.AddField(
            "alertrule", "grain",
            models.CharField(
                choices=[("day", "Day"), ("hour", "Hour"), ("reading", "reading (five minutes)")], default="day",
                help_text="What is judged, once over.", max_length=8,
            ),
        ),
        migrations.AddField(
            "alertrule", "quiet_under",
            models.ForeignKey(
                blank=True, help_text="While that rule fires, this one tells nobody: the one explains the other.",
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to="dashboards.alertrule",
            ),
        ),
        migrations.AddField(
            "alertrule", "runbook",
            models.CharField(blank=True, default="", help_text="Where it says what to do.", max_length=200),
        ),
        migrations.AddField(
            "alertrule", "judged_until",
            models.DateTimeField(editable=False, help_text="End of the last period that was judged.", null=True),
        ),
        migrations.RunPython(keep_what_was_judged, migrations.RunPython.noop),
        migrations.RemoveField("alertrule", "judged_day"),
        migrations.RenameField("alertrule", "days_in_row", "in_row"),
        migrations.AlterField(
            "alertrule", "in_row",
            models.PositiveSmallIntegerField(
                default=1, help_text="So many periods have to breach before it fires.",
                validators=[django.core.validators.MinValueValidator(1)],
            ),
        ),
        migrations.AlterField(
            "alertrule", "least_users",
            models.PositiveIntegerField(
                default=0, help_text="Days or hours with fewer active users are not judged."
            ),
        ),
        migrations.AlterField(
            "alertrule", "kpi",
            models.CharField(help_text="Key of a KPI, or of a signal of the system.", max_length=40),
        ),
        migrations.AlterField(
            "alertrule", "breaches",
            models.PositiveSmallIntegerField(
                default=0, editable=False, help_text="In a row, up to the last period."
            ),
        ),
        migrations.AlterField(
            "alertrule", "state",
            models.CharField(
                choices=[
                    ("ok", "ok"), ("pending", "pending"), ("firing", "firing"), ("resolved", "resolved"),
                    ("no data", "no data"),
                ],
                default="ok", editable=False, max_length=8,
            ),
        ),
        migrations.RenameField("alertincident", "first_day", "first_period"),
        migrations.RenameField("alertincident", "last_day", "last_period"),
        migrations.AlterField(
            "alertincident", "first_period",
            models.CharField(help_text="The day, hour or moment that made it fire.", max_length=32),
        ),
        migrations.AlterField("alertincident", "last_period", models.CharField(max_length=32)),
        migrations.AlterField(
            "alertincident", "chart",
            models.JSONField(default=list, help_text="Period and value of what came before it fired."),
        ),
        migrations.AddField(
            "alertincident", "told_at",
            models.DateTimeField(help_text="When the channels were told last.", null=True),
        ),
        migrations.RunPython(add_rules, migrations.RunPython.noop),
    ]
