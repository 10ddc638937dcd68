"""Refusals that outlive their month of the log, a user's history as a function, hours of programs, permissions of the
dead letters: one for each action."""

from django.db import migrations, models

# Triggers of the table, so that whatever writes or erases an event keeps them true, in its own transaction. They are
# not fired by dropping a partition, which is what the table is for.
KEEP = """
CREATE FUNCTION keep_refusal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO refusal (event_id, event_type, user_id, content_id, creator_id, "timestamp")
    VALUES (NEW.event_id, NEW.event_type, NEW.user_id, NEW.content_id, NEW.creator_id, NEW."timestamp")
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE FUNCTION forget_refusal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM refusal WHERE event_id = OLD.event_id;
    RETURN NULL;
END $$;
CREATE TRIGGER event_refusal_kept AFTER INSERT ON event FOR EACH ROW
    WHEN (NEW.event_type IN ('hide', 'report', 'unhide')) EXECUTE FUNCTION keep_refusal();
CREATE TRIGGER event_refusal_erased AFTER DELETE ON event FOR EACH ROW
    WHEN (OLD.event_type IN ('hide', 'report', 'unhide')) EXECUTE FUNCTION forget_refusal();
INSERT INTO refusal (event_id, event_type, user_id, content_id, creator_id, "timestamp")
    SELECT event_id, event_type, user_id, content_id, creator_id, "timestamp" FROM event
    WHERE event_type IN ('hide', 'report', 'unhide') ON CONFLICT DO NOTHING;
"""
# In PL/pgSQL a plan is made once per connection. It must be the general one: a plan for each user is a plan for each
# call, and looks at every partition.
HISTORY = """
CREATE FUNCTION user_history(who text, most integer) RETURNS TABLE (
    logged boolean, event_id uuid, event_type text, content_id text, creator_id text, at double precision,
    watch_s text, long_view text
) LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY (
        SELECT true, e.event_id, e.event_type::text, e.content_id, e.creator_id,
               date_part('epoch', e."timestamp")::double precision,
               e.additional_info->>'watch_duration', e.additional_info->>'long_view'
        FROM event e WHERE e.user_id = who AND e.event_type <> 'content_upload'
        ORDER BY e."timestamp" DESC LIMIT most
    ) UNION ALL (
        SELECT false, r.event_id, r.event_type::text, r.content_id, r.creator_id,
               date_part('epoch', r."timestamp")::double precision, NULL, NULL
        FROM refusal r WHERE r.user_id = who
    );
END $$;
"""
FORGET = """
DROP TRIGGER event_refusal_kept ON event;
DROP TRIGGER event_refusal_erased ON event;
DROP FUNCTION keep_refusal();
DROP FUNCTION forget_refusal();
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
        migrations.RunSQL(KEEP, FORGET),
        migrations.RunSQL(HISTORY, 'DROP FUNCTION user_history(text, integer)'),
        migrations.RemoveIndex('event', 'event_refused'),
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
