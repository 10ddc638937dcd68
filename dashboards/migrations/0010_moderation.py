"""The moderation log, which refuses to be changed, the queue derived from it, reports and appeals."""
import django.contrib.postgres.fields
import uuid
from django.db import migrations, models


# TRUNCATE has a trigger of its own: tests empty their tables with it and switch off this one, never the other.
REFUSE = """
CREATE FUNCTION refuse_moderation_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the moderation log is append-only: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER moderation_action_append_only BEFORE UPDATE OR DELETE ON moderation_action
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_moderation_change();
CREATE TRIGGER moderation_action_keep BEFORE TRUNCATE ON moderation_action
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_moderation_change();
"""
ALLOW = """
DROP TRIGGER moderation_action_append_only ON moderation_action;
DROP TRIGGER moderation_action_keep ON moderation_action;
DROP FUNCTION refuse_moderation_change();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('dashboards', '0002_rollups'),
    ]

    operations = [
        migrations.CreateModel(
            name='Appeal',
            fields=[
                ('appeal_id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('decision_id', models.UUIDField(unique=True)),
                ('author_id', models.TextField()),
                ('text', models.TextField()),
                ('appealed_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'moderation_appeal',
            },
        ),
        migrations.CreateModel(
            name='ModerationAction',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('subject_kind', models.CharField(choices=[('content', 'content'), ('comment', 'comment'), ('user', 'user')], max_length=8)),
                ('subject_id', models.TextField()),
                ('author_id', models.TextField(blank=True, default='', help_text='Whose content, comment or account it is.')),
                ('kind', models.CharField(choices=[('report', 'report'), ('approve', 'approve'), ('hide', 'hide'), ('remove', 'remove'), ('age_restrict', 'age_restrict'), ('geo_block', 'geo_block'), ('feed_ineligible', 'feed_ineligible'), ('warn', 'warn'), ('strike', 'strike'), ('suspend', 'suspend'), ('restore', 'restore'), ('escalate', 'escalate'), ('auto_hide', 'auto_hide'), ('undo', 'undo'), ('expire', 'expire'), ('overturn', 'overturn'), ('appeal', 'appeal'), ('uphold', 'uphold')], max_length=16)),
                ('at', models.DateTimeField()),
                ('actor_id', models.BigIntegerField(help_text='The member of staff; empty for the system and for users.', null=True)),
                ('decision_id', models.UUIDField(help_text='Entries of one decision share it; never used again.', null=True)),
                ('about', models.BigIntegerField(help_text='The entry that a reversal takes back.', null=True)),
                ('batch', models.UUIDField(help_text='Decisions that were made together, and can be undone together.', null=True)),
                ('policy', models.CharField(blank=True, default='', max_length=24)),
                ('note', models.TextField(blank=True, default='', help_text='For staff only.')),
                ('data', models.JSONField(default=dict)),
                ('expires_at', models.DateTimeField(null=True)),
            ],
            options={
                'verbose_name': 'moderation action',
                'db_table': 'moderation_action',
                'indexes': [models.Index(fields=['subject_kind', 'subject_id', 'id'], name='moderation_action_subject'), models.Index(fields=['author_id', 'id'], name='moderation_action_author'), models.Index(fields=['decision_id'], name='moderation_action_decision'), models.Index(condition=models.Q(('batch__isnull', False)), fields=['batch'], name='moderation_action_batch'), models.Index(condition=models.Q(('expires_at__isnull', False)), fields=['expires_at'], name='moderation_action_expiry')],
                'constraints': [models.UniqueConstraint(fields=('about',), name='moderation_action_reversed_once'), models.UniqueConstraint(condition=models.Q(('kind', 'appeal')), fields=('decision_id',), name='moderation_action_appealed_once'), models.CheckConstraint(condition=models.Q(models.Q(('about__isnull', False), ('kind__in', ('undo', 'expire', 'overturn'))), models.Q(models.Q(('kind__in', ('undo', 'expire', 'overturn')), _negated=True), ('about__isnull', True)), _connector='OR'), name='moderation_action_about_reversals'), models.CheckConstraint(condition=models.Q(('kind', 'report'), ('decision_id__isnull', False), _connector='OR'), name='moderation_action_names_decision')],
            },
        ),
        migrations.CreateModel(
            name='ModerationCase',
            fields=[
                ('case_id', models.BigIntegerField(help_text='Id of the first entry about the subject.', primary_key=True, serialize=False)),
                ('subject_kind', models.CharField(choices=[('content', 'content'), ('comment', 'comment'), ('user', 'user')], max_length=8)),
                ('subject_id', models.TextField()),
                ('author_id', models.TextField(blank=True, default='')),
                ('status', models.CharField(choices=[('open', 'Open'), ('escalated', 'Escalated'), ('closed', 'Closed')], max_length=16)),
                ('version', models.BigIntegerField(help_text='Changes with every decision, not with reports.')),
                ('shown_status', models.CharField(help_text='active, hidden or removed.', max_length=16)),
                ('held', models.BooleanField(help_text='Hidden by the system until somebody has looked.')),
                ('age_restricted', models.BooleanField()),
                ('blocked_countries', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=2), size=None)),
                ('feed_eligible', models.BooleanField()),
                ('reports', models.IntegerField(help_text='That nobody has settled yet.')),
                ('report_weight', models.FloatField()),
                ('reasons', models.JSONField(help_text='Reports by policy.')),
                ('appeals', models.IntegerField(help_text='That wait for an answer.')),
                ('barred', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), help_text='Staff who must not judge the appeal.', size=None)),
                ('priority', models.FloatField()),
                ('priority_parts', models.JSONField()),
                ('settled', models.BigIntegerField(help_text='The entry that answered the reports before it.')),
                ('verdict', models.CharField(blank=True, max_length=10)),
                ('settled_at', models.DateTimeField(null=True)),
                ('opened_at', models.DateTimeField(help_text='When the oldest unsettled report or appeal came, else the first entry.')),
                ('claimed_by', models.BigIntegerField(null=True)),
                ('claim_expires_at', models.DateTimeField(null=True)),
            ],
            options={
                'verbose_name': 'moderation case',
                'db_table': 'moderation_case',
                'permissions': (('decide_moderationcase', 'Can decide moderation cases'), ('lead_moderationcase', 'Can decide escalated cases, undo the decisions of others and see who decided')),
                'indexes': [models.Index(condition=models.Q(('status', 'closed'), _negated=True), fields=['-priority', 'opened_at', 'case_id'], name='moderation_case_queue')],
                'constraints': [models.UniqueConstraint(fields=('subject_kind', 'subject_id'), name='moderation_case_once'), models.CheckConstraint(condition=models.Q(models.Q(('claim_expires_at__isnull', True), ('claimed_by__isnull', True)), models.Q(('claim_expires_at__isnull', False), ('claimed_by__isnull', False)), _connector='OR'), name='moderation_case_claim_whole')],
            },
        ),
        migrations.CreateModel(
            name='Report',
            fields=[
                ('report_id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('subject_kind', models.CharField(choices=[('content', 'content'), ('comment', 'comment'), ('user', 'user')], max_length=8)),
                ('subject_id', models.TextField()),
                ('reporter_id', models.TextField()),
                ('reason', models.CharField(max_length=24)),
                ('details', models.TextField(blank=True, default='')),
                ('weight', models.FloatField()),
                ('entry_id', models.BigIntegerField(help_text='The entry of the log that tells of it.')),
                ('reported_at', models.DateTimeField()),
                ('outcome', models.CharField(blank=True, default='', help_text='Derived: what the decision made of it.', max_length=10)),
            ],
            options={
                'db_table': 'moderation_report',
                'indexes': [models.Index(fields=['reporter_id', '-reported_at'], name='report_by_reporter')],
                'constraints': [models.UniqueConstraint(fields=('subject_kind', 'subject_id', 'reporter_id'), name='report_once')],
            },
        ),
        migrations.RunSQL(REFUSE, ALLOW),
    ]
