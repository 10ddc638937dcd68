"""What each user did on each day, and what experiments say. The days that are there already are measured again."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('dashboards', '0016_views_and_roles'),
        ('events', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='ExperimentReading',
            fields=[
                ('pk', models.CompositePrimaryKey('experiment', 'phase', blank=True, editable=False, primary_key=True, serialize=False)),
                ('experiment', models.CharField(max_length=32)),
                ('phase', models.PositiveSmallIntegerField()),
                ('data', models.JSONField(help_text='See experiment_results.')),
                ('read_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'experiment_reading',
            },
        ),
        migrations.CreateModel(
            name='KpiUserDay',
            fields=[
                ('day', models.DateField(primary_key=True, serialize=False)),
                ('users', models.BinaryField(help_text='Numbers of the users, ascending; int32.')),
                ('measures', models.BinaryField(help_text='int32 (measures, users), deflated, in the order of stats.measures.MEASURES.')),
            ],
            options={
                'verbose_name': 'KPI user day',
                'db_table': 'kpi_user_day',
            },
        ),
        # -1 asks for another run, see events.models.WindowFill.
        migrations.RunSQL("UPDATE window_fill SET events = -1 WHERE family LIKE 'kpi %'", migrations.RunSQL.noop),
    ]
