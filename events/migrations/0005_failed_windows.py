from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("events", "0004_refusals")]

    operations = [
        migrations.AddField(
            model_name="windowfill",
            name="attempts",
            field=models.SmallIntegerField(default=0, help_text="Times in a row that it failed."),
        ),
        migrations.AddField(
            model_name="windowfill",
            name="error",
            field=models.TextField(blank=True, default="", help_text="Why it failed last."),
        ),
        migrations.AddField(
            model_name="windowfill",
            name="retry_at",
            field=models.DateTimeField(blank=True, help_text="Not tried again before this moment.", null=True),
        ),
        migrations.AlterField(
            model_name="windowfill",
            name="state",
            field=models.CharField(
                choices=[("started", "Started"), ("done", "Done"), ("aside", "Aside")], max_length=16
            ),
        ),
    ]
