"""What was served to a user, read from the index alone, under a lock that makes that user's pages one after another; and
which model serves, so that no page asks for that by itself."""

from django.db import migrations, models

# Texts, because the driver is slow with long arrays; see user_past. Volatile, so that each statement sees what was committed while it waited for the lock.
MEMORY = """
CREATE FUNCTION feed_memory(who text, page uuid, walk uuid, since timestamptz) RETURNS TABLE (
    served text, served_at text, walked text, delivered text, champion text, manifest text, weights bigint
) LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(who, 20261125));
    SELECT string_agg(s.content_id, E'\\x1f'), string_agg(s.last_at::text, ','),
           string_agg(s.content_id, E'\\x1f') FILTER (WHERE s.own) INTO served, served_at, walked FROM (
        SELECT l.content_id, date_part('epoch', max(l.served_at))::double precision AS last_at,
               bool_or(l.walk_id = walk) AS own
        FROM served l WHERE l.user_id = who AND l.served_at >= since GROUP BY l.content_id) s;
    IF page IS NOT NULL THEN
        SELECT json_agg(json_build_object(
            'position', l.position, 'content_id', l.content_id, 'source', l.source, 'sources', l.sources,
            'model_version', l.model_version, 'score', l.score, 'propensity', l.propensity, 'ends_walk', l.ends_walk,
            'served_at', date_part('epoch', l.served_at)) ORDER BY l.position)::text INTO delivered
        FROM served l WHERE l.request_id = page AND l.user_id = who;
    END IF;
    SELECT v.version, v.artefacts->>'manifest.json' INTO champion, manifest FROM model_version v
        WHERE v.state = 'champion';
    -- Migration 0004 makes this table; a body is read when it runs.
    SELECT max(w.id) INTO weights FROM value_weights w;
    RETURN NEXT;
END $$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('ranking', '0002_served_counted_until'),
    ]

    operations = [
        migrations.AddField(
            model_name='served',
            name='walk_id',
            field=models.UUIDField(help_text='The chain of cursors it was on: the request id of its first page.', null=True),
        ),
        migrations.AddField(
            model_name='served',
            name='ends_walk',
            field=models.BooleanField(db_default=False, default=False, help_text='Nothing was left that its walk had not delivered.'),
        ),
        migrations.AddField(
            model_name='served',
            name='config',
            field=models.CharField(db_default='', default='', help_text="Version of the feed's numbers; see `feed_config`.", max_length=32),
        ),
        migrations.RemoveIndex(model_name='served', name='served_user_recent'),
        migrations.AddIndex(
            model_name='served',
            index=models.Index(fields=['user_id', '-served_at'], include=['content_id', 'walk_id'], name='served_user_contents'),
        ),
        migrations.RunSQL(MEMORY, 'DROP FUNCTION feed_memory(text, uuid, uuid, timestamptz)'),
    ]
