"""What the database itself wrote down about changes of the catalogue, of rules, weights, models, lists, keys and roles.

Triggers write it (migration 0015), so raw SQL and bulk writes are in it as well as forms.
"""

from django.db import models


class ChangeHistory(models.Model):
    """One row that changed: what it was before, and what of it is new."""

    class Op(models.TextChoices):
        INSERT = "I", "added"
        UPDATE = "U", "changed"
        DELETE = "D", "removed"

    at = models.DateTimeField()
    table = models.CharField(max_length=64)
    row_id = models.TextField()
    op = models.CharField(max_length=1, choices=Op)
    actor = models.TextField(blank=True, help_text="The member of staff, by key; empty: a key, a task or a shell.")
    before = models.JSONField(null=True, help_text="Of a changed row, the columns that changed.")
    after = models.JSONField(null=True)

    class Meta:
        db_table = "change_history"
        verbose_name_plural = "change history"
        indexes = (
            # The history of one row, newest first.
            models.Index(fields=["table", "row_id", "-id"], name="change_history_row"),
        )

    def __str__(self) -> str:
        return f"{self.table} {self.row_id}: {self.get_op_display()}"
