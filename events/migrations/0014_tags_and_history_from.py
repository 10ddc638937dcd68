"""Contents by their tags; users who want to be met like somebody new."""

from importlib import import_module

import django.contrib.postgres.indexes
import django.db.models.fields.json
from django.db import migrations, models

BEFORE = import_module("events.migrations.0009_audience").PAST
DROP = "DROP FUNCTION user_past(text, integer, timestamptz);"
# The same with one more column: from when on the user's events may choose for the user.
AFTER = (
    BEFORE.replace("updated_at timestamptz\n", "updated_at timestamptz, history_from double precision\n")
    .replace("NULL, NULL, NULL::timestamptz\n", "NULL, NULL, NULL::timestamptz, NULL::double precision\n")
    .replace("p.updated_at\n", "p.updated_at, date_part('epoch', p.history_from)::double precision\n")
)


class Migration(migrations.Migration):

    dependencies = [
        ('events', '0013_content_expiry'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='content',
            index=django.contrib.postgres.indexes.GinIndex(django.db.models.fields.json.KeyTransform('tags', 'metadata'), fastupdate=False, name='content_tags'),
        ),
        migrations.AddField(
            model_name='userprofile',
            name='history_from',
            field=models.DateTimeField(blank=True, editable=False, help_text='What the user did before chooses nothing any more; empty: nothing was reset.', null=True),
        ),
        migrations.RunSQL(DROP + AFTER, DROP + BEFORE),
    ]
