from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("events", "0005_failed_windows")]

    operations = [
        migrations.AddIndex(
            model_name="content",
            index=models.Index(fields=["updated_at"], name="content_updated"),
        ),
    ]
