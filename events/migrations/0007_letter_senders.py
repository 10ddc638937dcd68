"""Dead letters keep what was known about their sender and what was sent on in place of them; many are settled as one
work."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("events", "0006_content_updated"),
    ]

    operations = [
        migrations.AddField(
            "deadletter",
            "anonymous",
            models.BooleanField(db_default=False, help_text="The sender's key speaks for devices only."),
        ),
        migrations.AddField(
            "deadletter",
            "bot",
            models.BooleanField(db_default=False, help_text="The sender was a program, not a person."),
        ),
        migrations.AddField(
            "deadletter",
            "sent_at",
            models.DateTimeField(null=True, help_text="When its batch was sent, by the client's clock."),
        ),
        migrations.AddField(
            "deadletter",
            "sent_on",
            models.BinaryField(null=True, help_text="What was replayed, where that is not what was sent."),
        ),
        migrations.CreateModel(
            name="LetterWork",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("replay", "Replay"), ("discard", "Discard")], max_length=16)),
                (
                    "letters",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), size=None, help_text="Keys of the letters, in order."
                    ),
                ),
                ("total", models.IntegerField()),
                (
                    "done",
                    models.IntegerField(default=0, help_text="How many of them, from the first on, were looked at."),
                ),
                ("settled", models.IntegerField(default=0, help_text="Replayed or discarded by this work.")),
                ("known", models.IntegerField(default=0, help_text="Of these, in the log already.")),
                ("conflicts", models.IntegerField(default=0, help_text="Of these, in the log with another payload.")),
                ("failed", models.IntegerField(default=0, help_text="Refused again.")),
                ("note", models.TextField(blank=True, default="")),
                ("user_id", models.BigIntegerField(help_text="The member of staff, for the admin's log.")),
                ("by", models.CharField(max_length=150)),
                ("started_at", models.DateTimeField()),
            ],
            options={"db_table": "letter_work"},
        ),
    ]
