"""Keys gain a kind, scopes and origins; a refusal can be taken back."""

from django.db import migrations, models

SCOPES = [
    'admin', 'content:read', 'content:write', 'events:write', 'feed:read', 'tokens:mint', 'users:read', 'users:write',
]

def grant_everything(apps, schema_editor):
    """Keys that exist already could do everything, and go on doing so."""
    apps.get_model("events", "ApiKey").objects.filter(kind="server", scopes=[]).update(scopes=SCOPES)


class Migration(migrations.Migration):

    dependencies = [
        ("events", "0001_initial"),
    ]

    operations = [
        migrations.AddField("apikey", "kind", models.CharField(choices=[('server', 'Server key (sk_), for backends only'), ('publishable', 'Publishable key (pk_), for pages before log-in')], default="server", max_length=16)),
        migrations.AddField("apikey", "scopes", models.JSONField(default=list, help_text="What the key may do.")),
        migrations.AddField("apikey", "origins", models.JSONField(blank=True, default=list, help_text="Pages that may use a publishable key.")),
        migrations.AddField("apikey", "last_used_at", models.DateTimeField(blank=True, help_text="To the minute or so.", null=True)),
        migrations.RunPython(grant_everything, migrations.RunPython.noop),
        migrations.AlterField("event", "event_type", models.CharField(choices=[('impression', 'impression'), ('view', 'view'), ('complete_view', 'complete_view'), ('replay', 'replay'), ('skip', 'skip'), ('like', 'like'), ('unlike', 'unlike'), ('comment', 'comment'), ('share', 'share'), ('save', 'save'), ('unsave', 'unsave'), ('follow', 'follow'), ('unfollow', 'unfollow'), ('hide', 'hide'), ('report', 'report'), ('content_upload', 'content_upload'), ('unhide', 'unhide')], max_length=24)),
        migrations.RemoveIndex("event", "event_refused"),
        migrations.AddIndex("event", models.Index(condition=models.Q(("event_type__in", ("hide", "report", "unhide"))), fields=["user_id"], name="event_refused")),
    ]
