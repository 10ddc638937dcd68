
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ranking', '0005_model_states'),
    ]

    operations = [
        migrations.CreateModel(
            name='ModelDrift',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.CharField(max_length=64)),
                ('measured_at', models.DateTimeField()),
                ('positions', models.PositiveIntegerField(help_text='Served positions that were looked at.')),
                ('score_psi', models.FloatField()),
                ('moved_share', models.FloatField(help_text='Share of the features whose index is above 0.25.')),
                ('worst', models.JSONField(default=list, help_text='The features that moved most, with their index.')),
            ],
            options={
                'verbose_name': 'drift of a model',
                'verbose_name_plural': 'drift of models',
                'db_table': 'model_drift',
                'indexes': [models.Index(fields=['version', '-measured_at'], name='drift_of_version')],
            },
        ),
    ]
