"""How many events came to each hour of the log and went from it, kept by triggers, so that nobody has to count the log."""

from django.db import migrations, models

# Statement by statement, with transition tables: one row for each hour that the statement touched, and no row that is
# ever updated, so that writers of the same hour do not wait for each other. TRUNCATE has no transition table.
TRIGGERS = """
CREATE FUNCTION event_hours_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO hour_change (window_start, events, changes)
        SELECT date_bin('1 hour', "timestamp", '1900-01-01 00:00+00'), count(*), count(*) FROM added GROUP BY 1;
    RETURN NULL;
END $$;
CREATE FUNCTION event_hours_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO hour_change (window_start, events, changes)
        SELECT date_bin('1 hour', "timestamp", '1900-01-01 00:00+00'), -count(*), count(*) FROM removed GROUP BY 1;
    RETURN NULL;
END $$;
CREATE FUNCTION event_hours_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO hour_change (window_start, events, changes)
        SELECT date_bin('1 hour', moved.at, '1900-01-01 00:00+00'), sum(moved.by), count(*) FROM (
            SELECT "timestamp" AS at, -1 AS by FROM removed UNION ALL SELECT "timestamp", 1 FROM added
        ) AS moved GROUP BY 1;
    RETURN NULL;
END $$;
CREATE FUNCTION event_hours_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO hour_change (window_start, events, changes)
        SELECT window_start, -sum(events), sum(events) FROM hour_change GROUP BY 1 HAVING sum(events) <> 0;
    RETURN NULL;
END $$;
CREATE TRIGGER event_hours_added AFTER INSERT ON event
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION event_hours_added();
CREATE TRIGGER event_hours_removed AFTER DELETE ON event
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION event_hours_removed();
CREATE TRIGGER event_hours_changed AFTER UPDATE ON event
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION event_hours_changed();
CREATE TRIGGER event_hours_emptied AFTER TRUNCATE ON event FOR EACH STATEMENT EXECUTE FUNCTION event_hours_emptied();
"""
# The triggers hold writers off until the migration ends, so nothing is missed and nothing counted twice. Walked by the
# index, as grouping by an expression sorts every event of a large log.
COUNT = """
INSERT INTO hour_change (window_start, events, changes)
SELECT start, counted.events, counted.events
FROM (SELECT min("timestamp") AS first, max("timestamp") AS last FROM event) AS log
CROSS JOIN generate_series(
    date_bin('1 hour', log.first, '1900-01-01 00:00+00'), log.last, interval '1 hour'
) AS start
CROSS JOIN LATERAL (
    SELECT count(*) AS events FROM event WHERE "timestamp" >= start AND "timestamp" < start + interval '1 hour'
) AS counted
WHERE counted.events > 0
"""
REVERSE = """
DROP TRIGGER event_hours_added ON event;
DROP TRIGGER event_hours_removed ON event;
DROP TRIGGER event_hours_changed ON event;
DROP TRIGGER event_hours_emptied ON event;
DROP FUNCTION event_hours_added(), event_hours_removed(), event_hours_changed(), event_hours_emptied();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("events", "0007_letter_senders"),
    ]

    operations = [
        migrations.CreateModel(
            name="HourChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("window_start", models.DateTimeField()),
                ("events", models.BigIntegerField(help_text="Events that came minus events that went.")),
                ("changes", models.BigIntegerField(help_text="Events that came plus events that went.")),
            ],
            options={"db_table": "hour_change"},
        ),
        migrations.RunSQL(TRIGGERS, REVERSE),
        migrations.RunSQL(COUNT, migrations.RunSQL.noop),
        migrations.AddField(
            "windowfill",
            "changes",
            models.BigIntegerField(
                help_text="How often events had come or gone by then; empty: nobody counted.", null=True
            ),
        ),
    ]
