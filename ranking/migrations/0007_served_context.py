"""In which session and under which circumstances a page was served."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ranking', '0006_model_drift'),
    ]

    operations = [
        migrations.AddField(
            model_name='served',
            name='session_id',
            field=models.TextField(db_default='', default='', help_text='As the client names it; empty: it named none.'),
        ),
        migrations.AddField(
            model_name='served',
            name='context',
            field=models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict, help_text='Circumstances as the client told them; see `feed_context`.'),
        ),
    ]
