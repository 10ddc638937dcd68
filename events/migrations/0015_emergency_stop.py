"""Emergency stops, which are their own trail: a row never goes, and only its end is added."""
from django.db import migrations, models


KEEP = """
CREATE FUNCTION refuse_stop_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.lifted_at IS NULL AND NEW.lifted_at IS NOT NULL AND NEW.lifted_by IS NOT NULL
        AND (NEW.id, NEW.kind, NEW.value, NEW.reason, NEW.started_at, NEW.started_by)
            = (OLD.id, OLD.kind, OLD.value, OLD.reason, OLD.started_at, OLD.started_by)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'emergency stops are append-only: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER emergency_stop_append_only BEFORE UPDATE OR DELETE ON emergency_stop
    FOR EACH ROW EXECUTE FUNCTION refuse_stop_change();
"""
ALLOW = """
DROP TRIGGER emergency_stop_append_only ON emergency_stop;
DROP FUNCTION refuse_stop_change();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('events', '0014_tags_and_history_from'),
    ]

    operations = [
        migrations.CreateModel(
            name='EmergencyStop',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('content', 'Content'), ('creator', 'Creator'), ('tag', 'Tag'), ('sound', 'Sound')], max_length=8)),
                ('value', models.TextField(help_text='An id; a tag without its hash sign, in small letters.')),
                ('reason', models.TextField(help_text='Why; for staff.')),
                ('started_at', models.DateTimeField()),
                ('started_by', models.BigIntegerField(help_text='The member of staff.')),
                ('lifted_at', models.DateTimeField(null=True)),
                ('lifted_by', models.BigIntegerField(null=True)),
            ],
            options={
                'db_table': 'emergency_stop',
                'constraints': [models.UniqueConstraint(condition=models.Q(('lifted_at__isnull', True)), fields=('kind', 'value'), name='emergency_stop_runs_once')],
            },
        ),
        migrations.RunSQL(KEEP, ALLOW),
    ]
