"""Tables of the recommendation engine: model versions with their evidence, value weights, and what was served.

Written only by `registry.py` (ModelVersion), `value_weights.py` (ValueWeights) and `served_log.py` (Served).
"""

from django.db import models


class ModelVersion(models.Model):
    """One trained model: what it was trained on, how well it did, where its artefacts lie, what it does now."""

    class State(models.TextChoices):
        CANDIDATE = "candidate"
        CHAMPION = "champion"
        ARCHIVED = "archived"

    version = models.CharField(max_length=64, primary_key=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.CANDIDATE)
    kind = models.CharField(max_length=32, help_text="Family of the ranker, as in its config.")
    feature_set = models.CharField(max_length=64, help_text="Hash of the feature list it was trained with.")
    trained_until = models.DateTimeField(help_text="No event at or after this moment was seen in training.")
    config = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict, help_text="Offline metrics on the time after the training cut.")
    artefacts = models.JSONField(default=dict, help_text="File name to SHA-256.")
    created_at = models.DateTimeField(auto_now_add=True)
    promoted_at = models.DateTimeField(null=True, blank=True)
    rolled_back_at = models.DateTimeField(null=True, blank=True, help_text="Set when serving was taken away from it.")

    class Meta:
        db_table = "model_version"
        constraints = (
            # registry.champion_version: one pointer, atomic under concurrent promotions.
            models.UniqueConstraint(fields=["state"], condition=models.Q(state="champion"), name="one_champion"),
        )

    def __str__(self) -> str:
        return f"{self.version} ({self.state})"


class Served(models.Model):
    """One position of one answered feed: what was shown, why, and what the ranker saw of it."""

    request_id = models.UUIDField()
    walk_id = models.UUIDField(null=True, help_text="The chain of cursors it was on: the request id of its first page.")
    position = models.SmallIntegerField()
    user_id = models.TextField()
    content_id = models.TextField()
    source = models.CharField(max_length=32)
    sources = models.JSONField(default=list)
    model_version = models.CharField(max_length=64, blank=True)
    ends_walk = models.BooleanField(
        default=False, db_default=False, help_text="Nothing was left that its walk had not delivered."
    )
    surface = models.CharField(max_length=24)
    arm = models.CharField(max_length=64)
    config = models.CharField(
        max_length=32, default="", db_default="", help_text="Version of the feed's numbers; see `feed_config`."
    )
    session_id = models.TextField(default="", db_default="", help_text="As the client names it; empty: it named none.")
    context = models.JSONField(
        default=dict, db_default=models.Value({}, models.JSONField()),
        help_text="Circumstances as the client told them; see `feed_context`.",
    )  # fmt: skip
    score = models.FloatField()
    propensity = models.FloatField()
    feature_set = models.CharField(max_length=64, blank=True)
    features = models.BinaryField(default=b"", help_text="float32 features in the order of the feature set.")
    counted_until = models.DateTimeField(null=True, help_text="Moment the counters among the features hold for.")
    served_at = models.DateTimeField()

    class Meta:
        db_table = "served"
        verbose_name = "served position"
        constraints = (models.UniqueConstraint(fields=["request_id", "position"], name="served_once"),)
        indexes = (
            # queries.feed_memory: what was delivered must not come again; the index alone answers.
            models.Index(
                fields=["user_id", "-served_at"], include=["content_id", "walk_id"], name="served_user_contents"
            ),
        )

    def __str__(self) -> str:
        return f"{self.request_id} #{self.position}"


class ValueWeights(models.Model):
    """One version of the weights of the value model; the newest serves. Rows are never changed: see migration 0004."""

    weights = models.JSONField(help_text="Segment to term to weight, in seconds of watching.")
    made_by = models.TextField(help_text="Who set them.")
    reason = models.TextField(help_text="Why.")
    made_at = models.DateTimeField()
    restores = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="+",
        help_text="The earlier version that these weights are of.",
    )  # fmt: skip

    class Meta:
        db_table = "value_weights"
        verbose_name = verbose_name_plural = "value weights"
        constraints = (
            models.CheckConstraint(condition=~models.Q(made_by="") & ~models.Q(reason=""), name="value_weights_signed"),
        )

    def __str__(self) -> str:
        return f"version {self.pk}"
