"""Counts per hour, states per day; what was stored before is made anew from the log."""

import django.contrib.postgres.fields
import features.models
from django.db import migrations, models


def forget(apps, _schema_editor):
    apps.get_model("features", "ContentFeatures").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("features", "0003_trends")]

    operations = [
        migrations.RunPython(forget, migrations.RunPython.noop, elidable=True),
        migrations.RemoveConstraint("contentfeatures", "content_features_once"),
        migrations.RemoveIndex("contentfeatures", "content_features_window"),
        migrations.AddField(
            "contentfeatures",
            "day_start",
            models.DateTimeField(default=None, help_text="Start of the UTC day."),
            preserve_default=False,
        ),
        migrations.AlterField(
            "contentfeatures",
            "as_of",
            models.DateTimeField(help_text="Moment the state holds for: the end of that hour."),
        ),
        migrations.AddConstraint(
            "contentfeatures",
            models.UniqueConstraint(fields=["content_id", "day_start"], name="content_features_once"),
        ),
        migrations.DeleteModel("FillState"),
        migrations.CreateModel(
            name="ContentWindow",
            fields=[
                ("window_start", models.DateTimeField(primary_key=True, serialize=False)),
                ("events", models.PositiveBigIntegerField(help_text="Events of the log in it, of all kinds.")),
                ("counter_set", models.CharField(help_text="Layout and meaning of the counts.", max_length=12)),
                ("folded", models.BooleanField(help_text="Whether the states know it; the running hour waits for its end.")),
                ("contents", django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), help_text="Contents with any count, ascending.", size=None)),
                ("cells", django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(), help_text="Place in `contents` times the number of signals, plus signal.", size=None)),
                ("counts", django.contrib.postgres.fields.ArrayField(base_field=features.models.RealField(), help_text="The count of each cell; the others are zero.", size=None)),
            ],
            options={
                "db_table": "content_window",
                "indexes": [models.Index(condition=models.Q(("folded", False)), fields=["window_start"], name="content_window_unfolded")],
            },
        ),
        migrations.CreateModel(
            name="PopulationWindow",
            fields=[
                ("window_start", models.DateTimeField(primary_key=True, serialize=False)),
                ("surfaces", django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), help_text="Surfaces of the state, ascending.", size=None)),
                ("watch", django.contrib.postgres.fields.ArrayField(base_field=features.models.RealField(), help_text="Watches per duration bucket and bin.", size=None)),
                ("surface", django.contrib.postgres.fields.ArrayField(base_field=features.models.RealField(), help_text="Impressions, views and long views per surface.", size=None)),
                ("watch_state", django.contrib.postgres.fields.ArrayField(base_field=features.models.RealField(), size=None)),
                ("surface_state", django.contrib.postgres.fields.ArrayField(base_field=features.models.RealField(), size=None)),
            ],
            options={"db_table": "population_window"},
        ),
    ]
