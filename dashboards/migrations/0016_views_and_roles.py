"""Saved views and what is alike in the queue; who works with the check and reads the history, by role."""

import django.contrib.postgres.indexes
from django.apps import apps as living
from django.contrib.auth.management import create_permissions
from django.db import migrations, models

LEAD = (
    "view_screeningrule", "add_screeningrule", "change_screeningrule", "view_hashlist", "add_hashlist",
    "change_hashlist", "delete_hashlist", "view_hashentry", "add_hashentry", "change_hashentry", "delete_hashentry",
    "view_screening", "view_uploadsigns", "view_changehistory",
)
GROUPS = {
    "moderator": ("view_screening",), "moderation lead": LEAD,
    "admin": (*LEAD, "delete_screeningrule", "add_screening", "change_screening", "delete_screening",
              "add_uploadsigns", "change_uploadsigns", "delete_uploadsigns", "add_changehistory",
              "change_changehistory", "delete_changehistory"),
}


def grant(apps, schema_editor):
    # The living app on purpose, as in the migration that made the roles: it only adds what is missing.
    create_permissions(living.get_app_config("dashboards"), verbosity=0)
    permissions = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="dashboards")
    for group in apps.get_model("auth", "Group").objects.filter(name__in=GROUPS):
        group.permissions.add(*permissions.filter(codename__in=GROUPS[group.name]))


class Migration(migrations.Migration):

    dependencies = [
        ('dashboards', '0015_history'),
        ('recsys', '0001_roles'),
    ]

    operations = [
        migrations.CreateModel(
            name='QueueView',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('owner', models.BigIntegerField(help_text='The member of staff.')),
                ('name', models.CharField(max_length=40)),
                ('params', models.JSONField(help_text='Parameters of the list of cases.')),
            ],
            options={
                'db_table': 'moderation_view',
                'constraints': [
                    models.UniqueConstraint(fields=('owner', 'name'), name='moderation_view_once'),
                ],
            },
        ),
        migrations.AddIndex(
            model_name='uploadsigns',
            index=models.Index(condition=~models.Q(sha256=''), fields=['sha256'], name='upload_signs_sha256'),
        ),
        migrations.AddIndex(
            model_name='uploadsigns',
            index=django.contrib.postgres.indexes.GinIndex(fields=['hashes'], name='upload_signs_hashes'),
        ),
        migrations.RunPython(grant, migrations.RunPython.noop),
    ]
