"""Refusals that outlive their month of the log, a user's history as a function, hours of programs, permissions of the
dead letters: one for each action."""

from django.db import migrations, models

# In PL/pgSQL a plan is made once per connection. It must be the general one: a plan for each user is a plan for each
# call, and looks at every partition.
HISTORY = """
CREATE FUNCTION user_history(who text, most integer) RETURNS TABLE (
    is_recent boolean, event_id uuid, event_type text, content_id text, creator_id text, at double precision,
    watch_s text, long_view text, surface text
) LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    found bigint;
BEGIN
    RETURN QUERY SELECT true, e.event_id, e.event_type::text, e.content_id, e.creator_id,
            date_part('epoch', e."timestamp")::double precision,
            e.additional_info->>'watch_duration', e.additional_info->>'long_view', e.additional_info->>'surface'
        FROM event e WHERE e.user_id = who AND e.event_type <> 'content_upload'
        -- The id decides between events of one moment, as it does where training reads the log.
        ORDER BY e."timestamp" DESC, e.event_id DESC LIMIT most;
    GET DIAGNOSTICS found = ROW_COUNT;
    -- Fewer than asked for are all there are, refusals among them.
    IF found >= most THEN
        RETURN QUERY SELECT false, e.event_id, e.event_type::text, e.content_id, e.creator_id,
                date_part('epoch', e."timestamp")::double precision, NULL, NULL, NULL
            FROM event e WHERE e.user_id = who AND e.event_type IN ('hide', 'report', 'unhide');
    END IF;
    RETURN QUERY SELECT false, r.event_id, r.event_type::text, r.content_id, r.creator_id,
            date_part('epoch', r."timestamp")::double precision, NULL, NULL, NULL
        FROM refusal r WHERE r.user_id = who;
END $$;
"""

class Migration(migrations.Migration):

    dependencies = [
        ('events', '0003_dead_letters'),
    ]

    operations = [
        migrations.CreateModel(
            name='Refusal',
            fields=[
                ('event_id', models.UUIDField(primary_key=True, serialize=False)),
                ('event_type', models.CharField(max_length=24)),
                ('user_id', models.TextField()),
                ('content_id', models.TextField(null=True)),
                ('creator_id', models.TextField(null=True)),
                ('timestamp', models.DateTimeField()),
            ],
            options={
                'db_table': 'refusal',
                'indexes': [models.Index(fields=['user_id'], name='refusal_user')],
            },
        ),
        migrations.RunSQL(HISTORY, 'DROP FUNCTION user_history(text, integer)'),
        migrations.CreateModel(
            name='AutomatedHour',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('user_id', models.TextField()),
                ('window_start', models.DateTimeField()),
            ],
            options={
                'db_table': 'automated_hour',
                'constraints': [models.UniqueConstraint(fields=('window_start', 'user_id'), name='automated_hour_once')],
            },
        ),
        migrations.AlterModelOptions('deadletter', {
            'permissions': (
                ('replay_deadletter', 'Can fix and replay dead letters'),
                ('discard_deadletter', 'Can discard dead letters'),
                ('reveal_deadletter', 'Can see the user ids in dead letters'),
                ('export_deadletter', 'Can export dead letters'),
            ),
            'verbose_name': 'dead letter',
        }),
    ]
