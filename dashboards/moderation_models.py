"""Tables of moderation: the log that is the truth, what people sent, and the queue that is derived from the log.

`ModerationAction` is append-only, and the database itself refuses to change or drop an entry (migration 0010).
`ModerationCase` is made of it and can be made again at any time; only the claim is a fact of its own, and a passing
one. Written by `moderation.py` and `moderation_log.py` alone. No table refers to another by a foreign key: a log that
refuses changes cannot follow a deleted row.
"""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models

from dashboards.casework.log import APPEAL, LOGGED, REPORT, REVERSALS, SUBJECTS, UPHOLD

KINDS = (REPORT, *LOGGED, *REVERSALS, APPEAL, UPHOLD)


class ModerationAction(models.Model):
    """One entry of the log. It names staff by key, and people who report by nothing but the id of their report."""

    subject_kind = models.CharField(max_length=8, choices=[(kind, kind) for kind in SUBJECTS])
    subject_id = models.TextField()
    author_id = models.TextField(blank=True, default="", help_text="Whose content, comment or account it is.")
    kind = models.CharField(max_length=16, choices=[(kind, kind) for kind in KINDS])
    at = models.DateTimeField()
    actor_id = models.BigIntegerField(null=True, help_text="The member of staff; empty for the system and for users.")
    decision_id = models.UUIDField(null=True, help_text="Entries of one decision share it; never used again.")
    about = models.BigIntegerField(null=True, help_text="The entry that a reversal takes back.")
    batch = models.UUIDField(null=True, help_text="Decisions that were made together, and can be undone together.")
    policy = models.CharField(max_length=24, blank=True, default="")
    note = models.TextField(blank=True, default="", help_text="For staff only.")
    data = models.JSONField(default=dict)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "moderation_action"
        verbose_name = "moderation action"
        indexes = (
            # moderation_log: all entries about a subject, in order.
            models.Index(fields=["subject_kind", "subject_id", "id"], name="moderation_action_subject"),
            # moderation_log.author_entries, and a user's decisions.
            models.Index(fields=["author_id", "id"], name="moderation_action_author"),
            # A decision by its id, for undo and appeals.
            models.Index(fields=["decision_id"], name="moderation_action_decision"),
            models.Index(fields=["batch"], name="moderation_action_batch", condition=models.Q(batch__isnull=False)),
            # moderation.expire_due.
            models.Index(
                fields=["expires_at"], name="moderation_action_expiry", condition=models.Q(expires_at__isnull=False)
            ),
        )
        constraints = (
            models.UniqueConstraint(fields=["about"], name="moderation_action_reversed_once"),
            models.UniqueConstraint(
                fields=["decision_id"], condition=models.Q(kind=APPEAL), name="moderation_action_appealed_once"
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=REVERSALS, about__isnull=False)
                | (~models.Q(kind__in=REVERSALS) & models.Q(about__isnull=True)),
                name="moderation_action_about_reversals",
            ),
            models.CheckConstraint(
                condition=models.Q(kind=REPORT) | models.Q(decision_id__isnull=False),
                name="moderation_action_names_decision",
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_kind} {self.subject_id}"


class ModerationCase(models.Model):
    """One subject in the queue, however often it was reported."""

    class Status(models.TextChoices):
        OPEN = "open"
        ESCALATED = "escalated"
        CLOSED = "closed"

    case_id = models.BigIntegerField(primary_key=True, help_text="Id of the first entry about the subject.")
    subject_kind = models.CharField(max_length=8, choices=[(kind, kind) for kind in SUBJECTS])
    subject_id = models.TextField()
    author_id = models.TextField(blank=True, default="")
    status = models.CharField(max_length=16, choices=Status)
    version = models.BigIntegerField(help_text="Changes with every decision, not with reports.")
    shown_status = models.CharField(max_length=16, help_text="active, hidden or removed.")
    held = models.BooleanField(help_text="Hidden by the system until somebody has looked.")
    flags = models.JSONField(
        default=dict, db_default=models.Value({}, models.JSONField()),
        help_text="What the automatic check asks to look at: its score by policy.",
    )  # fmt: skip
    age_restricted = models.BooleanField()
    blocked_countries = ArrayField(models.CharField(max_length=2))
    feed_eligible = models.BooleanField()
    reports = models.IntegerField(help_text="That nobody has settled yet.")
    report_weight = models.FloatField()
    reasons = models.JSONField(help_text="Reports by policy.")
    appeals = models.IntegerField(help_text="That wait for an answer.")
    barred = ArrayField(models.BigIntegerField(), help_text="Staff who must not judge the appeal.")
    priority = models.FloatField()
    priority_parts = models.JSONField()
    settled = models.BigIntegerField(help_text="The entry that answered the reports before it.")
    verdict = models.CharField(max_length=10, blank=True)
    settled_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField(help_text="When the oldest unsettled report or appeal came, else the first entry.")
    claimed_by = models.BigIntegerField(null=True)
    claim_expires_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "moderation_case"
        verbose_name = "moderation case"
        permissions = (
            ("decide_moderationcase", "Can decide moderation cases"),
            ("lead_moderationcase", "Can decide escalated cases, undo the decisions of others and see who decided"),
        )
        indexes = (
            # moderation.claim_next: the most urgent case that waits.
            models.Index(
                fields=["-priority", "opened_at", "case_id"],
                name="moderation_case_queue",
                condition=~models.Q(status="closed"),
            ),
        )
        constraints = (
            models.UniqueConstraint(fields=["subject_kind", "subject_id"], name="moderation_case_once"),
            models.CheckConstraint(
                condition=models.Q(claimed_by__isnull=True, claim_expires_at__isnull=True)
                | models.Q(claimed_by__isnull=False, claim_expires_at__isnull=False),
                name="moderation_case_claim_whole",
            ),
        )

    def __str__(self) -> str:
        return f"{self.subject_kind} {self.subject_id}"


class QueueView(models.Model):
    """A choice of cases that a moderator gave a name."""

    owner = models.BigIntegerField(help_text="The member of staff.")
    name = models.CharField(max_length=40)
    params = models.JSONField(help_text="Parameters of the list of cases.")

    class Meta:
        db_table = "moderation_view"
        constraints = (models.UniqueConstraint(fields=["owner", "name"], name="moderation_view_once"),)

    def __str__(self) -> str:
        return self.name


class Report(models.Model):
    """One person's report of one subject."""

    report_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    subject_kind = models.CharField(max_length=8, choices=[(kind, kind) for kind in SUBJECTS])
    subject_id = models.TextField()
    reporter_id = models.TextField()
    reason = models.CharField(max_length=24)
    details = models.TextField(blank=True, default="")
    weight = models.FloatField()
    network = models.CharField(
        max_length=32, blank=True, default="", db_default="",
        help_text="Pseudonym of the network it came from, kept for 30 days; empty: not known.",
    )  # fmt: skip
    entry_id = models.BigIntegerField(help_text="The entry of the log that tells of it.")
    reported_at = models.DateTimeField()
    outcome = models.CharField(
        max_length=10, blank=True, default="", help_text="Derived: what the decision made of it."
    )

    class Meta:
        db_table = "moderation_report"
        constraints = (
            models.UniqueConstraint(fields=["subject_kind", "subject_id", "reporter_id"], name="report_once"),
        )
        indexes = (
            # moderation.weigh_reporter: how good somebody's last reports were.
            models.Index(fields=["reporter_id", "-reported_at"], name="report_by_reporter"),
        )

    def __str__(self) -> str:
        return f"{self.reason} {self.subject_kind} {self.subject_id}"


class Appeal(models.Model):
    """What an author says against a decision; how it ended is in the log."""

    appeal_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    decision_id = models.UUIDField(unique=True)
    author_id = models.TextField()
    text = models.TextField()
    appealed_at = models.DateTimeField()

    class Meta:
        db_table = "moderation_appeal"

    def __str__(self) -> str:
        return str(self.appeal_id)
