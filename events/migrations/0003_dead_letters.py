"""Dead letters, filled windows of the log, stored sessions."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('events', '0002_credentials'),
    ]

    operations = [
        migrations.CreateModel(
            name='DeadLetter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.BinaryField(help_text='BLAKE2b of payload, first code and sender, sixteen bytes.', unique=True)),
                ('code', models.CharField(help_text='Why it was refused, last time it was tried.', max_length=64)),
                ('detail', models.TextField(help_text='The reason as a sentence.')),
                ('payload', models.BinaryField(help_text='What was sent; bytes, because it may be no text at all.')),
                ('size', models.IntegerField(help_text='Bytes that were sent; more than are kept when the event was too large.')),
                ('historical', models.BooleanField(default=False, help_text='It came as part of an old log.')),
                ('source', models.CharField(max_length=64)),
                ('user_id', models.TextField(help_text="Whom the sender's token speaks for.", null=True)),
                ('received_at', models.DateTimeField(help_text='When it came first.')),
                ('last_at', models.DateTimeField(help_text='When it came last.')),
                ('times', models.IntegerField(default=1)),
                ('state', models.CharField(choices=[('open', 'Open'), ('replayed', 'Replayed'), ('discarded', 'Discarded')], default='open', max_length=16)),
                ('note', models.TextField(blank=True, default='')),
                ('settled_by', models.CharField(blank=True, default='', max_length=150)),
                ('settled_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'verbose_name': 'dead letter',
                'db_table': 'dead_letter',
                'permissions': (('reveal_deadletter', 'Can see the user ids in dead letters'),),
                'indexes': [models.Index(condition=models.Q(('state', 'open')), fields=['code', '-last_at'], name='dead_letter_open'), models.Index(fields=['last_at'], name='dead_letter_last_at')],
            },
        ),
        migrations.CreateModel(
            name='Session',
            fields=[
                ('key', models.UUIDField(help_text='Made of user, device and start, so a rebuild makes it again.', primary_key=True, serialize=False)),
                ('user_id', models.TextField()),
                ('device', models.TextField(blank=True, default='', help_text='Empty where no event names one.')),
                ('started_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(help_text='The latest event plus what was watched of it.')),
                ('events', models.IntegerField()),
                ('views', models.IntegerField()),
                ('watch_s', models.FloatField(help_text='Watched seconds.')),
                ('first_content', models.TextField(help_text='The first content the session is about.', null=True)),
            ],
            options={
                'db_table': 'session',
                'indexes': [models.Index(fields=['user_id', 'started_at'], name='session_user_start'), models.Index(fields=['started_at'], name='session_start')],
            },
        ),
        migrations.CreateModel(
            name='WindowFill',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('family', models.CharField(max_length=32)),
                ('window_start', models.DateTimeField()),
                ('state', models.CharField(choices=[('started', 'Started'), ('done', 'Done')], max_length=16)),
                ('events', models.BigIntegerField(help_text='Events of the hour when the run began; -1 asks for another run.')),
                ('started_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'verbose_name': 'filled window',
                'db_table': 'window_fill',
                'constraints': [models.UniqueConstraint(fields=('family', 'window_start'), name='window_fill_once')],
            },
        ),
    ]
