"""Age rating and countries of a content; all that a feed must know of one user as one function."""

import django.contrib.postgres.fields
from django.db import migrations, models

# What may be thousands comes as one text, which the driver hands over a hundred times faster than an array. No id
# contains the separator. One row per event of the history, then one row without event: what was met and who was followed before the
# history begins, and the profile.
# The plan is the general one for the reason user_history has it.
PAST = """
CREATE FUNCTION user_past(who text, most integer, since timestamptz) RETURNS TABLE (
    is_recent boolean, event_id uuid, event_type text, content_id text, creator_id text, at double precision,
    watch_s text, long_view text, surface text, older text, older_at text,
    follows text[], demographics text, preferences text, updated_at timestamptz
) LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    found bigint;
    begins timestamptz;
    met text;
    met_at text;
    followed text[];
BEGIN
    RETURN QUERY SELECT h.*, NULL, NULL, NULL::text[], NULL, NULL, NULL::timestamptz
        FROM user_history(who, most) h;
    GET DIAGNOSTICS found = ROW_COUNT;
    -- Refusals from before the history count among them, so this says only that there may be something before it.
    IF found >= most THEN
        SELECT count(*), min(recent."timestamp") INTO found, begins FROM (
            SELECT e."timestamp" FROM event e WHERE e.user_id = who AND e.event_type <> 'content_upload'
            ORDER BY e."timestamp" DESC LIMIT most) recent;
    END IF;
    IF found >= most THEN
        SELECT string_agg(m.content_id, E'\\x1f'), string_agg(m.last_at::text, ',') INTO met, met_at FROM (
            SELECT e.content_id, date_part('epoch', max(e."timestamp"))::double precision AS last_at
            FROM event e WHERE e.user_id = who AND e."timestamp" >= since AND e."timestamp" <= begins
                AND e.content_id IS NOT NULL AND e.event_type <> 'content_upload'
            GROUP BY e.content_id) m;
        SELECT array_agg(f.creator_id) INTO followed FROM (
            SELECT DISTINCT ON (e.creator_id) e.creator_id, e.event_type
            FROM event e WHERE e.user_id = who AND e.event_type IN ('follow', 'unfollow') AND e."timestamp" <= begins
                AND e.creator_id IS NOT NULL
            ORDER BY e.creator_id, e."timestamp" DESC) f WHERE f.event_type = 'follow';
    END IF;
    RETURN QUERY SELECT false, NULL::uuid, NULL, NULL, NULL, NULL::double precision, NULL, NULL, NULL, met, met_at,
            followed, p.demographics::text, p.preferences::text, p.updated_at
        FROM (SELECT 1) one LEFT JOIN user_profile p ON p.user_id = who;
END $$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('events', '0008_hour_changes'),
    ]

    operations = [
        migrations.AddField(
            model_name='content',
            name='age_rating',
            field=models.CharField(db_default='everyone', default='everyone', help_text='Who may see it: everyone, from an age on, or nobody until it is known.', max_length=8),
        ),
        migrations.AddField(
            model_name='content',
            name='geo_allow',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=2), default=list, help_text='Countries it is limited to; empty for all.', size=None, blank=True),
        ),
        migrations.AddField(
            model_name='content',
            name='geo_deny',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=2), default=list, help_text='Countries it is not shown in.', size=None, blank=True),
        ),
        migrations.AddConstraint(
            model_name='content',
            constraint=models.CheckConstraint(condition=models.Q(('age_rating__in', ['everyone', '13', '16', '18', 'unknown'])), name='content_age_rating_known'),
        ),
        migrations.RunSQL(PAST, 'DROP FUNCTION user_past(text, integer, timestamptz)'),
    ]
