"""The groups of the staff. A later role, or a permission of a later model, comes with another migration like this."""

from django.db import migrations


def make_roles(apps, schema_editor):
    # The living table on purpose: it only ever adds what is missing, so it may run at any later state of the tables.
    from recsys.roles import ensure_roles

    ensure_roles()


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
        ('admin', '0003_logentry_add_action_flag_choices'),
        ('sessions', '0001_initial'),
        ('events', '0010_moderation'),
        ('features', '0004_hours_of_counts'),
        ('ranking', '0003_feed_memory'),
        ('dashboards', '0010_moderation'),
    ]

    operations = [migrations.RunPython(make_roles, migrations.RunPython.noop)]
