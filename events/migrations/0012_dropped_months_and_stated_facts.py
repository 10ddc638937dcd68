"""Months that retention has dropped are known for good, and profiles remember until when they stated what."""

from django.db import migrations, models

# What is derived from a month stays when it goes, so a month of sessions without a partition was dropped; when, nobody
# knows: at the latest now.
DROPPED = """
INSERT INTO dropped_month (month, dropped_at)
SELECT month, now() FROM (
    SELECT DISTINCT date_trunc('month', started_at AT TIME ZONE 'UTC')::date AS month FROM session
) AS lived
WHERE to_regclass('event_' || to_char(month, 'YYYY_MM')) IS NULL
"""
# By a trigger, as several statements write profiles, and none of them may forget it. Of the demographics only the time
# zone is kept: features read nothing else of them. Fifty changes or 64 kB; what was stated before those is unknown.
STATED = """
CREATE FUNCTION stated_facts(demographics jsonb, preferences jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object(
        'demographics', jsonb_strip_nulls(jsonb_build_object('time_zone', demographics->'time_zone')),
        'preferences', jsonb_strip_nulls(jsonb_build_object(
            'liked_categories', preferences->'liked_categories', 'muted_categories', preferences->'muted_categories',
            'liked_creators', preferences->'liked_creators', 'muted_creators', preferences->'muted_creators',
            'languages', preferences->'languages')))
$$;
CREATE FUNCTION keep_stated_facts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    kept jsonb := OLD.stated_before || jsonb_build_array(jsonb_build_object(
        'until', extract(epoch FROM clock_timestamp()), 'stated', stated_facts(OLD.demographics, OLD.preferences)));
BEGIN
    WHILE jsonb_array_length(kept) > 50 OR octet_length(kept::text) > 65536 LOOP
        IF jsonb_array_length(kept) > 1 THEN
            kept := kept - 0;
        END IF;
        kept := jsonb_set(kept, '{0,stated}', 'null');
    END LOOP;
    NEW.stated_before := kept;
    RETURN NEW;
END $$;
CREATE TRIGGER user_profile_stated BEFORE UPDATE OF demographics, preferences ON user_profile FOR EACH ROW
    WHEN (stated_facts(OLD.demographics, OLD.preferences) IS DISTINCT FROM stated_facts(NEW.demographics, NEW.preferences))
    EXECUTE FUNCTION keep_stated_facts();
"""
# Of a profile that was edited before this, nobody knows what it stated then.
ADOPT = """
UPDATE user_profile
SET stated_before = jsonb_build_array(jsonb_build_object('until', extract(epoch FROM updated_at), 'stated', NULL))
WHERE updated_at > created_at;
"""
REVERSE = """
DROP TRIGGER user_profile_stated ON user_profile;
DROP FUNCTION keep_stated_facts(), stated_facts(jsonb, jsonb);
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0011_event_reports")]

    operations = [
        migrations.CreateModel(
            name="DroppedMonth",
            fields=[
                ("month", models.DateField(help_text="Its first day, UTC.", primary_key=True, serialize=False)),
                ("dropped_at", models.DateTimeField(help_text="From then on nobody could read its events.")),
            ],
            options={"db_table": "dropped_month"},
        ),
        migrations.RunSQL(DROPPED, migrations.RunSQL.noop),
        migrations.AddField(
            model_name="userprofile",
            name="stated_before",
            field=models.JSONField(
                blank=True,
                db_default=models.Value([], models.JSONField()),
                default=list,
                editable=False,
                help_text="What features read of it earlier, and until when, oldest first; kept by a trigger.",
            ),
        ),
        migrations.RunSQL(STATED, REVERSE),
        migrations.RunSQL(ADOPT, migrations.RunSQL.noop),
    ]
