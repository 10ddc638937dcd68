"""The automatic check of uploads: what is known of each, rules with their versions, lists, verdicts."""
import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
from django.db import migrations, models
from django.utils import timezone


def write_rules(apps, schema_editor):
    # The living list on purpose: a rule that is missing here would only be missing.
    from dashboards.casework.default_rules import DEFAULT_RULES

    rules = apps.get_model("dashboards", "ScreeningRule")
    for rule in DEFAULT_RULES:
        rules.objects.get_or_create(key=rule["key"], version=1, defaults={**rule, "made_at": timezone.now()})


# Rules and verdicts say why something was hidden: the database keeps them as they were written.
KEEP = """
CREATE FUNCTION refuse_rule_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rules are append-only, a change is a new version: % is refused', TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER screening_rule_append_only BEFORE UPDATE OR DELETE ON screening_rule
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rule_change();
"""
ALLOW = """
DROP TRIGGER screening_rule_append_only ON screening_rule;
DROP FUNCTION refuse_rule_change();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('dashboards', '0013_saved_views'),
    ]

    operations = [
        migrations.CreateModel(
            name='HashList',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.SlugField(max_length=40, unique=True)),
                ('policy', models.CharField(choices=[('child_safety', 'Child safety'), ('self_harm', 'Suicide and self-harm'), ('threat', 'Credible threat'), ('terrorism', 'Terrorism'), ('hate', 'Hate'), ('violence', 'Graphic violence'), ('sexual', 'Nudity and sex'), ('harassment', 'Harassment'), ('illegal_goods', 'Illegal goods'), ('dangerous_acts', 'Dangerous acts'), ('misinformation', 'Misinformation'), ('copyright', 'Copyright'), ('impersonation', 'Impersonation'), ('spam', 'Spam'), ('other', 'Something else')], max_length=24)),
                ('origin', models.TextField(blank=True, default='', help_text='Who keeps the list.')),
                ('version', models.IntegerField(default=0, editable=False)),
                ('changed_at', models.DateTimeField(editable=False, null=True)),
            ],
            options={
                'db_table': 'hash_list',
            },
        ),
        migrations.AddField(
            model_name='moderationcase',
            name='flags',
            field=models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict, help_text='What the automatic check asks to look at: its score by policy.'),
        ),
        migrations.AlterField(
            model_name='moderationaction',
            name='kind',
            field=models.CharField(choices=[('report', 'report'), ('approve', 'approve'), ('hide', 'hide'), ('remove', 'remove'), ('age_restrict', 'age_restrict'), ('geo_block', 'geo_block'), ('feed_ineligible', 'feed_ineligible'), ('warn', 'warn'), ('strike', 'strike'), ('suspend', 'suspend'), ('restore', 'restore'), ('escalate', 'escalate'), ('auto_hide', 'auto_hide'), ('flag', 'flag'), ('hold', 'hold'), ('quarantine', 'quarantine'), ('undo', 'undo'), ('expire', 'expire'), ('overturn', 'overturn'), ('appeal', 'appeal'), ('uphold', 'uphold')], max_length=16),
        ),
        migrations.CreateModel(
            name='Screening',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('content_id', models.TextField()),
                ('at', models.DateTimeField()),
                ('verdict', models.CharField(choices=[('pass', 'pass'), ('flag', 'flag'), ('hold', 'hold'), ('quarantine', 'quarantine')], max_length=16)),
                ('policy', models.CharField(blank=True, default='', max_length=24)),
                ('matched', models.JSONField(help_text='Rules that held, as [key, version].')),
                ('signals', models.JSONField()),
                ('versions', models.JSONField(help_text='Model or list behind each signal.')),
                ('resembles', models.TextField(blank=True, default='', help_text='The listed clip or removed content it resembles.')),
                ('decision_id', models.UUIDField(help_text='The entry of the moderation log, where one was written.', null=True)),
            ],
            options={
                'db_table': 'screening',
                'indexes': [models.Index(fields=['content_id', '-id'], name='screening_content'), models.Index(fields=['at'], name='screening_at')],
            },
        ),
        migrations.CreateModel(
            name='ScreeningRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.SlugField(max_length=40)),
                ('version', models.IntegerField(editable=False)),
                ('title', models.CharField(max_length=120)),
                ('conditions', models.JSONField(help_text='All must hold: [{"signal": "indecency", "at_least": 0.8}]')),
                ('action', models.CharField(choices=[('flag', 'flag'), ('hold', 'hold'), ('quarantine', 'quarantine')], max_length=16)),
                ('policy', models.CharField(choices=[('child_safety', 'Child safety'), ('self_harm', 'Suicide and self-harm'), ('threat', 'Credible threat'), ('terrorism', 'Terrorism'), ('hate', 'Hate'), ('violence', 'Graphic violence'), ('sexual', 'Nudity and sex'), ('harassment', 'Harassment'), ('illegal_goods', 'Illegal goods'), ('dangerous_acts', 'Dangerous acts'), ('misinformation', 'Misinformation'), ('copyright', 'Copyright'), ('impersonation', 'Impersonation'), ('spam', 'Spam'), ('other', 'Something else')], max_length=24)),
                ('enabled', models.BooleanField(default=True)),
                ('note', models.TextField(blank=True, default='', help_text='Why it is as it is; for staff.')),
                ('made_at', models.DateTimeField(editable=False)),
                ('made_by', models.BigIntegerField(editable=False, help_text='The member of staff; empty: built in.', null=True)),
            ],
            options={
                'db_table': 'screening_rule',
                'constraints': [models.UniqueConstraint(fields=('key', 'version'), name='screening_rule_version_once')],
            },
        ),
        migrations.CreateModel(
            name='UploadSigns',
            fields=[
                ('content_id', models.TextField(primary_key=True, serialize=False)),
                ('creator_id', models.TextField()),
                ('uploaded_at', models.DateTimeField()),
                ('text_digest', models.CharField(max_length=32)),
                ('media_digest', models.CharField(blank=True, max_length=32)),
                ('text_key', models.BigIntegerField(help_text='Shared by texts that differ in digits and addresses; 0: short.')),
                ('media', models.CharField(choices=[('none', 'none: the content has no media'), ('waiting', 'waiting to be looked at'), ('seen', 'Seen'), ('failed', 'failed: nobody could look at them'), ('off', 'off: this installation does not look at media')], max_length=8)),
                ('media_code', models.CharField(blank=True, default='', max_length=32)),
                ('sha256', models.CharField(blank=True, default='', max_length=64)),
                ('hashes', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, size=None)),
                ('crop_hashes', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), default=list, size=None)),
                ('indecency', django.contrib.postgres.fields.ArrayField(base_field=models.FloatField(), default=list, help_text='Score of each frame.', size=None)),
                ('indecency_version', models.CharField(blank=True, default='', max_length=64)),
                ('changed_at', models.DateTimeField()),
                ('due', models.BooleanField(help_text='It has changed since it was judged.')),
            ],
            options={
                'verbose_name_plural': 'upload signs',
                'db_table': 'upload_signs',
                'indexes': [models.Index(condition=models.Q(('due', True)), fields=['changed_at'], name='upload_signs_due'), models.Index(fields=['creator_id', 'uploaded_at'], name='upload_signs_creator'), models.Index(condition=models.Q(('text_key', 0), _negated=True), fields=['text_key', 'uploaded_at'], name='upload_signs_text')],
            },
        ),
        migrations.CreateModel(
            name='HashEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('label', models.CharField(help_text='What it is called on the list; unique there.', max_length=200)),
                ('sha256', models.CharField(blank=True, default='', max_length=64, validators=[django.core.validators.RegexValidator('^[0-9a-f]{64}\\Z', 'a SHA-256 has 64 hexadecimal digits')])),
                ('hashes', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), blank=True, default=list, help_text='64-bit pHash of each frame.', size=None)),
                ('listed_in', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='entries', to='dashboards.hashlist')),
            ],
            options={
                'verbose_name_plural': 'hash entries',
                'db_table': 'hash_entry',
                'indexes': [models.Index(condition=models.Q(('sha256', ''), _negated=True), fields=['sha256'], name='hash_entry_sha256')],
                'constraints': [models.UniqueConstraint(fields=('listed_in', 'label'), name='hash_entry_once'), models.CheckConstraint(condition=models.Q(models.Q(('sha256', ''), _negated=True), ('hashes__len__gt', 0), _connector='OR'), name='hash_entry_says_something')],
            },
        ),
        migrations.RunPython(write_rules, migrations.RunPython.noop),
        migrations.RunSQL(KEEP, ALLOW),
    ]
