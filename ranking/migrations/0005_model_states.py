from django.db import migrations, models

GUARD = """
CREATE FUNCTION model_moves_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'decisions about models are never changed or deleted';
END $$;
CREATE TRIGGER model_moves_stay BEFORE UPDATE OR DELETE ON model_move
    FOR EACH ROW EXECUTE FUNCTION model_moves_stay();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('ranking', '0004_value_weights'),
    ]

    operations = [
        migrations.CreateModel(
            name='ModelAlert',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.CharField(max_length=64)),
                ('message', models.TextField()),
                ('serving', models.CharField(blank=True, help_text='What serves instead.', max_length=64)),
                ('first_at', models.DateTimeField()),
                ('last_at', models.DateTimeField()),
                ('times', models.PositiveIntegerField(default=1)),
                ('cleared_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'db_table': 'model_alert',
            },
        ),
        migrations.CreateModel(
            name='ModelMove',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.CharField(db_index=True, max_length=64)),
                ('action', models.CharField(choices=[('promoted', 'Promoted'), ('rolled back to', 'Rolled Back'), ('shadow', 'Shadowed'), ('canary', 'Canaried'), ('archived', 'Archived'), ('refused', 'Refused')], max_length=16)),
                ('before', models.CharField(blank=True, help_text='The champion before.', max_length=64)),
                ('share_pct', models.PositiveSmallIntegerField(blank=True, null=True)),
                ('gates', models.JSONField(default=list, help_text='The gates that did not hold.')),
                ('made_by', models.TextField(help_text='Who did it.')),
                ('reason', models.TextField(help_text='Why.')),
                ('made_at', models.DateTimeField()),
            ],
            options={
                'verbose_name': 'decision about a model',
                'verbose_name_plural': 'decisions about models',
                'db_table': 'model_move',
            },
        ),
        migrations.CreateModel(
            name='ShadowPage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.CharField(max_length=64)),
                ('request_id', models.UUIDField()),
                ('served_by', models.CharField(max_length=64)),
                ('served_at', models.DateTimeField()),
                ('scores', models.BinaryField()),
                ('served_scores', models.BinaryField()),
                ('took_ms', models.FloatField(help_text='Of the shadow, for the page.')),
            ],
            options={
                'db_table': 'shadow_page',
                'indexes': [models.Index(fields=['version', '-served_at'], name='shadow_page_newest')],
            },
        ),
        migrations.AddField(
            model_name='modelversion',
            name='parent',
            field=models.CharField(blank=True, db_default='', default='', help_text='The version whose weights training began with.', max_length=64),
        ),
        migrations.AddField(
            model_name='modelversion',
            name='share_pct',
            field=models.PositiveSmallIntegerField(blank=True, help_text='Percent of users (canary) or of pages (shadow).', null=True),
        ),
        migrations.AlterField(
            model_name='modelversion',
            name='state',
            field=models.CharField(choices=[('candidate', 'Candidate'), ('shadow', 'Shadow'), ('canary', 'Canary'), ('champion', 'Champion'), ('archived', 'Archived')], default='candidate', max_length=16),
        ),
        migrations.AddConstraint(
            model_name='modelversion',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'canary')), fields=('state',), name='one_canary'),
        ),
        migrations.AddConstraint(
            model_name='modelversion',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'shadow')), fields=('state',), name='one_shadow'),
        ),
        migrations.AddConstraint(
            model_name='modelversion',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('share_pct__gte', 1), ('share_pct__isnull', False), ('share_pct__lte', 100), ('state__in', ('canary', 'shadow'))), models.Q(models.Q(('state__in', ('canary', 'shadow')), _negated=True), ('share_pct', None)), _connector='OR'), name='share_of_canary_or_shadow'),
        ),
        migrations.AddConstraint(
            model_name='modelalert',
            constraint=models.UniqueConstraint(condition=models.Q(('cleared_at', None)), fields=('version',), name='one_open_alert_of_a_model'),
        ),
        migrations.AddConstraint(
            model_name='modelmove',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('made_by', ''), _negated=True), models.Q(('reason', ''), _negated=True)), name='model_move_signed'),
        ),
        migrations.AddConstraint(
            model_name='shadowpage',
            constraint=models.UniqueConstraint(fields=('version', 'request_id'), name='shadowed_once'),
        ),
        migrations.RunSQL(GUARD, 'DROP TRIGGER model_moves_stay ON model_move; DROP FUNCTION model_moves_stay()'),
    ]
