"""Contents that end by themselves."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('events', '0012_dropped_months_and_stated_facts'),
    ]

    operations = [
        migrations.AddField(
            model_name='content',
            name='expires_at',
            field=models.DateTimeField(blank=True, help_text='From then on nobody is shown it; empty for no end.', null=True),
        ),
        migrations.AddIndex(
            model_name='content',
            index=models.Index(condition=models.Q(('expires_at__isnull', False)), fields=['expires_at'], name='content_expires'),
        ),
    ]
