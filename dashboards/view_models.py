"""Saved views: a page of the dashboards with its state, under a name."""

from django.conf import settings
from django.db import models


class SavedView(models.Model):
    """An address somebody wants to find again; everybody who may see the dashboards sees the shared ones."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=60)
    path = models.CharField(max_length=120, help_text="Below /dashboards/.")
    query = models.CharField(max_length=500, blank=True, default="")
    shared = models.BooleanField(default=False)
    made_at = models.DateTimeField()

    class Meta:
        db_table = "saved_view"
        constraints = (models.UniqueConstraint(fields=["owner", "name"], name="saved_view_once"),)

    def __str__(self) -> str:
        return self.name
