"""Vectors that the host app gives its contents; they go with the content, whoever deletes that."""
from django.db import migrations, models


WITH_CONTENT = """
ALTER TABLE content_vector ADD CONSTRAINT content_vector_of_content
    FOREIGN KEY (content_id) REFERENCES content (content_id) ON DELETE CASCADE;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('events', '0015_emergency_stop'),
    ]

    operations = [
        migrations.CreateModel(
            name='ContentVector',
            fields=[
                ('content_id', models.TextField(primary_key=True, serialize=False)),
                ('space', models.TextField(help_text='The model that made it, and its dimensions; vectors of two do not compare.')),
                ('vector', models.BinaryField(help_text='Of unit length, float32, little-endian.')),
                ('changed_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'content_vector',
            },
        ),
        migrations.RunSQL(WITH_CONTENT, 'ALTER TABLE content_vector DROP CONSTRAINT content_vector_of_content'),
    ]
