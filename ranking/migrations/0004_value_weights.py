from django.db import migrations, models
import django.db.models.deletion

GUARD = """
CREATE FUNCTION value_weights_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'value weights are never changed or deleted: publish a new version';
END $$;
CREATE TRIGGER value_weights_stay BEFORE UPDATE OR DELETE ON value_weights
    FOR EACH ROW EXECUTE FUNCTION value_weights_stay();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('ranking', '0003_feed_memory'),
    ]

    operations = [
        migrations.CreateModel(
            name='ValueWeights',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('weights', models.JSONField(help_text='Segment to term to weight, in seconds of watching.')),
                ('made_by', models.TextField(help_text='Who set them.')),
                ('reason', models.TextField(help_text='Why.')),
                ('made_at', models.DateTimeField()),
                ('restores', models.ForeignKey(blank=True, help_text='The earlier version that these weights are of.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='ranking.valueweights')),
            ],
            options={
                'verbose_name': 'value weights',
                'verbose_name_plural': 'value weights',
                'db_table': 'value_weights',
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('made_by', ''), _negated=True), models.Q(('reason', ''), _negated=True)), name='value_weights_signed')],
            },
        ),
        migrations.RunSQL(GUARD, 'DROP TRIGGER value_weights_stay ON value_weights; DROP FUNCTION value_weights_stay()'),
    ]
