"""Dead letters keep what was known about their sender, and what was sent on in place of them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("events", "0005_failed_windows"),
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
    ]
