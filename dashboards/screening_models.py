"""Tables of the automatic check of uploads: what is known of each, the rules, the lists, and every verdict.

Rules are append-only: changing one writes its next version, and the newest version of a key is in force. A verdict
keeps the numbers it was made of, so that a changed rule can be tried on what came lately (`screening_dry_run`).
"""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.core.validators import RegexValidator
from django.db import models

from dashboards.casework.log import SCREENINGS
from dashboards.casework.policies import POLICIES
from dashboards.casework.rules import ACTIONS, PASS

_SHA256 = RegexValidator(r"^[0-9a-f]{64}\Z", "a SHA-256 has 64 hexadecimal digits")


class UploadSigns(models.Model):
    """What is known of one upload, as far as rules ask. Written by `screening_intake`, read by `screening`."""

    class Media(models.TextChoices):
        NONE = "none", "none: the content has no media"
        WAITING = "waiting", "waiting to be looked at"
        SEEN = "seen"
        FAILED = "failed", "failed: nobody could look at them"
        OFF = "off", "off: this installation does not look at media"

    content_id = models.TextField(primary_key=True)
    creator_id = models.TextField()
    uploaded_at = models.DateTimeField()
    text_digest = models.CharField(max_length=32)
    media_digest = models.CharField(max_length=32, blank=True)
    text_key = models.BigIntegerField(help_text="Shared by texts that differ in digits and addresses; 0: short.")
    media = models.CharField(max_length=8, choices=Media)
    media_code = models.CharField(max_length=32, blank=True, default="")
    sha256 = models.CharField(max_length=64, blank=True, default="")
    hashes = ArrayField(models.BigIntegerField(), default=list)
    crop_hashes = ArrayField(models.BigIntegerField(), default=list)
    indecency = ArrayField(models.FloatField(), default=list, help_text="Score of each frame.")
    indecency_version = models.CharField(max_length=64, blank=True, default="")
    changed_at = models.DateTimeField()
    due = models.BooleanField(help_text="It has changed since it was judged.")

    class Meta:
        db_table = "upload_signs"
        verbose_name_plural = "upload signs"
        indexes = (
            # screening.screen_due
            models.Index(fields=["changed_at"], name="upload_signs_due", condition=models.Q(due=True)),
            # screening: how much somebody uploads, and who else says the same.
            models.Index(fields=["creator_id", "uploaded_at"], name="upload_signs_creator"),
            models.Index(fields=["text_key", "uploaded_at"], name="upload_signs_text", condition=~models.Q(text_key=0)),
            # moderation_context: the same file, and clips of which at least one frame has the very same hash.
            models.Index(fields=["sha256"], name="upload_signs_sha256", condition=~models.Q(sha256="")),
            GinIndex(fields=["hashes"], name="upload_signs_hashes"),
        )

    def __str__(self) -> str:
        return self.content_id


class ScreeningRule(models.Model):
    """One version of one rule."""

    key = models.SlugField(max_length=40)
    version = models.IntegerField(editable=False)
    title = models.CharField(max_length=120)
    conditions = models.JSONField(help_text='All must hold: [{"signal": "indecency", "at_least": 0.8}]')
    action = models.CharField(max_length=16, choices=[(each, each) for each in ACTIONS])
    policy = models.CharField(max_length=24, choices=[(code, each.title) for code, each in POLICIES.items()])
    enabled = models.BooleanField(default=True)
    note = models.TextField(blank=True, default="", help_text="Why it is as it is; for staff.")
    made_at = models.DateTimeField(editable=False)
    made_by = models.BigIntegerField(null=True, editable=False, help_text="The member of staff; empty: built in.")

    class Meta:
        db_table = "screening_rule"
        constraints = (models.UniqueConstraint(fields=["key", "version"], name="screening_rule_version_once"),)

    def __str__(self) -> str:
        return f"{self.key} {self.version}"


class Screening(models.Model):
    """One verdict on one upload, with the numbers and the versions of whatever made them."""

    content_id = models.TextField()
    at = models.DateTimeField()
    verdict = models.CharField(max_length=16, choices=[(each, each) for each in (PASS, *SCREENINGS)])
    policy = models.CharField(max_length=24, blank=True, default="")
    matched = models.JSONField(help_text="Rules that held, as [key, version].")
    signals = models.JSONField()
    versions = models.JSONField(help_text="Model or list behind each signal.")
    resembles = models.TextField(blank=True, default="", help_text="The listed clip or removed content it resembles.")
    decision_id = models.UUIDField(null=True, help_text="The entry of the moderation log, where one was written.")

    class Meta:
        db_table = "screening"
        indexes = (
            # The newest verdict on a content.
            models.Index(fields=["content_id", "-id"], name="screening_content"),
            # screening_dry_run: the last days.
            models.Index(fields=["at"], name="screening_at"),
        )

    def __str__(self) -> str:
        return f"{self.content_id}: {self.verdict}"


class HashList(models.Model):
    """A list of banned files and pictures, of one origin; every import raises its version."""

    name = models.SlugField(max_length=40, unique=True)
    policy = models.CharField(max_length=24, choices=[(code, each.title) for code, each in POLICIES.items()])
    origin = models.TextField(blank=True, default="", help_text="Who keeps the list.")
    version = models.IntegerField(default=0, editable=False)
    changed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        db_table = "hash_list"

    def __str__(self) -> str:
        return self.name


class HashEntry(models.Model):
    """One banned file: its SHA-256, the perceptual hashes of its frames, or both."""

    listed_in = models.ForeignKey(HashList, on_delete=models.CASCADE, related_name="entries")
    label = models.CharField(max_length=200, help_text="What it is called on the list; unique there.")
    sha256 = models.CharField(max_length=64, blank=True, default="", validators=[_SHA256])
    hashes = ArrayField(models.BigIntegerField(), default=list, blank=True, help_text="64-bit pHash of each frame.")

    class Meta:
        db_table = "hash_entry"
        verbose_name_plural = "hash entries"
        constraints = (
            models.UniqueConstraint(fields=["listed_in", "label"], name="hash_entry_once"),
            models.CheckConstraint(
                condition=~models.Q(sha256="") | models.Q(hashes__len__gt=0), name="hash_entry_says_something"
            ),
        )
        indexes = (models.Index(fields=["sha256"], name="hash_entry_sha256", condition=~models.Q(sha256="")),)

    def __str__(self) -> str:
        return self.label
