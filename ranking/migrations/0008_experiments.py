"""Experiments, who was exposed to them, and the log of decisions, which refuses to be changed."""

from django.db import migrations, models


# TRUNCATE has a trigger of its own: tests empty their tables with it and switch off this one, never the other.
REFUSE = """
CREATE FUNCTION refuse_experiment_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the decisions about experiments are append-only: % is refused', TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER experiment_decision_append_only BEFORE UPDATE OR DELETE ON experiment_decision
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_experiment_change();
CREATE TRIGGER experiment_decision_keep BEFORE TRUNCATE ON experiment_decision
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_experiment_change();
"""
ALLOW = """
DROP TRIGGER experiment_decision_append_only ON experiment_decision;
DROP TRIGGER experiment_decision_keep ON experiment_decision;
DROP FUNCTION refuse_experiment_change();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('ranking', '0007_served_context'),
    ]

    operations = [
        migrations.AlterField(
            model_name='served',
            name='arm',
            field=models.TextField(help_text='"default", "holdout", or experiment=arm of each that acted, with commas.'),
        ),
        migrations.CreateModel(
            name='Experiment',
            fields=[
                ('key', models.SlugField(help_text='Part of the seed, so it never changes.', max_length=32, primary_key=True, serialize=False)),
                ('title', models.CharField(max_length=120)),
                ('hypothesis', models.TextField(blank=True, default='')),
                ('owner', models.CharField(max_length=150)),
                ('state', models.CharField(choices=[('draft', 'Draft'), ('running', 'Running'), ('stopped', 'Stopped'), ('shipped', 'Shipped')], default='draft', max_length=8)),
                ('phase', models.PositiveSmallIntegerField(default=1)),
                ('arms', models.JSONField(help_text='[{key, weight, overrides, payload}], control first.')),
                ('coverage', models.FloatField(default=1.0, help_text='Share of the users who take part.')),
                ('namespace', models.CharField(blank=True, default='', help_text='Experiments of one exclude others.', max_length=32)),
                ('namespace_from', models.FloatField(default=0.0)),
                ('namespace_to', models.FloatField(default=1.0)),
                ('chosen', models.JSONField(blank=True, default=dict, help_text='User to arm, for staff; never counted.')),
                ('goals', models.JSONField(default=list, help_text='Metrics that decide, at most three.')),
                ('guardrails', models.JSONField(default=list, help_text='[{metric, margin}]: what stops it by itself.')),
                ('alpha', models.FloatField(default=0.05)),
                ('tuned_for', models.PositiveIntegerField(default=5000, help_text='Users at which its intervals are tightest.')),
                ('plan', models.JSONField(blank=True, default=dict, help_text='What it needs, as computed before the start.')),
                ('winner', models.CharField(blank=True, default='', help_text='The arm that was shipped.', max_length=32)),
                ('created_at', models.DateTimeField()),
                ('started_at', models.DateTimeField(blank=True, help_text='Of the phase.', null=True)),
                ('stopped_at', models.DateTimeField(blank=True, null=True)),
                ('shipped_at', models.DateTimeField(blank=True, null=True)),
                ('revision', models.PositiveIntegerField(default=1, help_text='Raised by every change; web workers look at it.')),
            ],
            options={
                'db_table': 'experiment',
                'permissions': (('run_experiment', 'Can start, stop and ship experiments'),),
                'constraints': [models.CheckConstraint(condition=models.Q(('coverage__gte', 0.0), ('coverage__lte', 1.0)), name='experiment_coverage_share'), models.CheckConstraint(condition=models.Q(('namespace_from__gte', 0.0), ('namespace_to__lte', 1.0), ('namespace_from__lt', models.F('namespace_to'))), name='experiment_namespace_range')],
            },
        ),
        migrations.CreateModel(
            name='ExperimentDecision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('experiment', models.CharField(max_length=32)),
                ('phase', models.PositiveSmallIntegerField()),
                ('kind', models.CharField(max_length=16)),
                ('by', models.CharField(max_length=150)),
                ('reason', models.TextField()),
                ('numbers', models.JSONField(default=dict)),
                ('at', models.DateTimeField()),
            ],
            options={
                'db_table': 'experiment_decision',
                'indexes': [models.Index(fields=['experiment', 'id'], name='experiment_decision_of')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('by', ''), _negated=True), models.Q(('reason', ''), _negated=True)), name='experiment_decision_signed')],
            },
        ),
        migrations.CreateModel(
            name='Exposure',
            fields=[
                ('pk', models.CompositePrimaryKey('experiment', 'phase', 'user_id', 'arm', blank=True, editable=False, primary_key=True, serialize=False)),
                ('experiment', models.CharField(max_length=32)),
                ('phase', models.PositiveSmallIntegerField()),
                ('user_id', models.TextField()),
                ('arm', models.CharField(max_length=32)),
                ('exposed_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'exposure',
                'indexes': [models.Index(fields=['user_id'], name='exposure_user')],
            },
        ),
        migrations.RunSQL(REFUSE, ALLOW),
    ]
