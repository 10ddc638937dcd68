"""History of the catalogue, rules, models, lists, keys and roles, written by triggers of the database itself."""
from django.db import migrations, models


# Once per statement, from the rows as they were and are: a nightly sync of 100,000 contents that changes nothing writes
# nothing, and a bulk write costs one INSERT. New contents are not noted: the catalogue itself says what they began as.
WRITE = """
-- Nobody knows how many rows a statement will change, so the planner would compare each row with each.
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE
    named text := TG_ARGV[0];
    unsaid text[] := TG_ARGV[1]::text[];
    who text := coalesce(current_setting('recsys.actor', true), '');
BEGIN
    IF TG_OP = 'UPDATE' THEN
        INSERT INTO change_history (at, "table", row_id, op, actor, before, after)
        WITH was AS MATERIALIZED (SELECT to_jsonb(r)->>named AS id, to_jsonb(r) - unsaid AS doc FROM old_rows r),
        now AS MATERIALIZED (SELECT to_jsonb(r)->>named AS id, to_jsonb(r) - unsaid AS doc FROM new_rows r),
        changed AS MATERIALIZED (
            SELECT id, was.doc AS a, now.doc AS b FROM was JOIN now USING (id) WHERE was.doc <> now.doc)
        SELECT clock_timestamp(), TG_TABLE_NAME, id, 'U', who,
            (SELECT jsonb_object_agg(k, a->k) FROM jsonb_object_keys(a) k WHERE a->k IS DISTINCT FROM b->k),
            (SELECT jsonb_object_agg(k, b->k) FROM jsonb_object_keys(b) k WHERE a->k IS DISTINCT FROM b->k)
        FROM changed;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO change_history (at, "table", row_id, op, actor, before)
        SELECT clock_timestamp(), TG_TABLE_NAME, to_jsonb(r)->>named, 'D', who, to_jsonb(r) - unsaid FROM old_rows r;
    ELSE
        INSERT INTO change_history (at, "table", row_id, op, actor, after)
        SELECT clock_timestamp(), TG_TABLE_NAME, to_jsonb(r)->>named, 'I', who, to_jsonb(r) - unsaid FROM new_rows r;
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION refuse_history_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- What the law has erased is erased here as well; whoever does it says so for the transaction.
    IF TG_OP = 'DELETE' AND current_setting('recsys.erasing', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'the history is append-only: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER change_history_append_only BEFORE UPDATE OR DELETE ON change_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_history_change();
"""
FORGET = """
DROP TRIGGER change_history_append_only ON change_history;
DROP FUNCTION refuse_history_change();
DROP FUNCTION note_change();
"""
# Table, key, columns that are nobody's business or say nothing, and what is noted.
WATCHED = (
    ("content", "content_id", "updated_at", "UPDATE DELETE"),
    ("model_version", "version", "", "INSERT UPDATE DELETE"),
    ("alert_rule", "id", "state,breaches,judged_day,said", "INSERT UPDATE DELETE"),
    ("hash_list", "id", "", "INSERT UPDATE DELETE"),
    ("hash_entry", "id", "", "UPDATE DELETE"),
    ("api_key", "id", "digest,last_used_at", "INSERT UPDATE DELETE"),
    ("auth_group", "id", "", "INSERT UPDATE DELETE"),
    ("auth_group_permissions", "id", "", "INSERT DELETE"),
    ("auth_user", "id", "password,last_login,email,first_name,last_name,date_joined", "INSERT UPDATE DELETE"),
    ("auth_user_groups", "id", "", "INSERT DELETE"),
    ("auth_user_user_permissions", "id", "", "INSERT DELETE"),
    ("otp_totp_totpdevice", "id", "key,last_t,drift,throttling_failure_timestamp,throttling_failure_count,last_used_at",
     "INSERT UPDATE DELETE"),
)
_ROWS = {
    "INSERT": "REFERENCING NEW TABLE AS new_rows", "DELETE": "REFERENCING OLD TABLE AS old_rows",
    "UPDATE": "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows",
}


def watch(table, key, unsaid, events):
    made = [
        f"CREATE TRIGGER {table}_note_{event.lower()} AFTER {event} ON {table} {_ROWS[event]} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION note_change('{key}', '{{{unsaid}}}');"
        for event in events.split()
    ]
    gone = [f"DROP TRIGGER {table}_note_{event.lower()} ON {table};" for event in events.split()]
    return migrations.RunSQL("\n".join(made), "\n".join(gone))


class Migration(migrations.Migration):

    dependencies = [
        ('dashboards', '0014_screening'),
        ('events', '0015_emergency_stop'),
        ('ranking', '0008_experiments'),
        ('auth', '0012_alter_user_first_name_max_length'),
        ('otp_totp', '0003_add_timestamps'),
    ]

    operations = [
        migrations.CreateModel(
            name='ChangeHistory',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('table', models.CharField(max_length=64)),
                ('row_id', models.TextField()),
                ('op', models.CharField(choices=[('I', 'added'), ('U', 'changed'), ('D', 'removed')], max_length=1)),
                ('actor', models.TextField(blank=True, help_text='The member of staff, by key; empty: a key, a task or a shell.')),
                ('before', models.JSONField(help_text='Of a changed row, the columns that changed.', null=True)),
                ('after', models.JSONField(null=True)),
            ],
            options={
                'verbose_name_plural': 'change history',
                'db_table': 'change_history',
                'indexes': [models.Index(fields=['table', 'row_id', '-id'], name='change_history_row')],
            },
        ),
        migrations.RunSQL(WRITE, FORGET),
        *(watch(*each) for each in WATCHED),
    ]
