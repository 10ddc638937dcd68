"""Tables of the recommendation engine: model versions with their evidence, value weights, and what was served.

Written only by `registry.py` (ModelVersion, ModelMove), `model_alerts.py` (ModelAlert), `shadowing.py` (ShadowPage),
`drift_watch.py` (ModelDrift), `tried_out.py` (ModelOutcome), `value_weights.py` (ValueWeights) and `served_log.py`
(Served).
"""

from django.db import models

from ranking import experiment_models  # noqa: F401  Django looks for tables here


class ModelVersion(models.Model):
    """One trained model: what it was trained on, how well it did, where its artefacts lie, what it does now."""

    class State(models.TextChoices):
        CANDIDATE = "candidate"
        SHADOW = "shadow"
        CANARY = "canary"
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
    parent = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="The version whose weights training began with."
    )
    share_pct = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Percent of users (canary) or of pages (shadow)."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    promoted_at = models.DateTimeField(null=True, blank=True)
    rolled_back_at = models.DateTimeField(null=True, blank=True, help_text="Set when serving was taken away from it.")

    class Meta:
        db_table = "model_version"
        constraints = (
            # registry.champion_version: one pointer, atomic under concurrent promotions.
            models.UniqueConstraint(fields=["state"], condition=models.Q(state="champion"), name="one_champion"),
            models.UniqueConstraint(fields=["state"], condition=models.Q(state="canary"), name="one_canary"),
            models.UniqueConstraint(fields=["state"], condition=models.Q(state="shadow"), name="one_shadow"),
            models.CheckConstraint(
                condition=models.Q(
                    state__in=("canary", "shadow"), share_pct__isnull=False, share_pct__gte=1, share_pct__lte=100
                )
                | (~models.Q(state__in=("canary", "shadow")) & models.Q(share_pct=None)),
                name="share_of_canary_or_shadow",
            ),
        )

    def __str__(self) -> str:
        return f"{self.version} ({self.state})"


class ModelMove(models.Model):
    """One decision about a version: who moved it where when and why. Rows are never changed: see migration 0005."""

    class Action(models.TextChoices):
        PROMOTED = "promoted"
        ROLLED_BACK = "rolled back to"
        SHADOWED = "shadow"
        CANARIED = "canary"
        ARCHIVED = "archived"
        REFUSED = "refused"

    version = models.CharField(max_length=64, db_index=True)
    action = models.CharField(max_length=16, choices=Action.choices)
    before = models.CharField(max_length=64, blank=True, help_text="The champion before.")
    share_pct = models.PositiveSmallIntegerField(null=True, blank=True)
    gates = models.JSONField(default=list, help_text="The gates that did not hold.")
    made_by = models.TextField(help_text="Who did it.")
    reason = models.TextField(help_text="Why.")
    made_at = models.DateTimeField()

    class Meta:
        db_table = "model_move"
        verbose_name = "decision about a model"
        verbose_name_plural = "decisions about models"
        constraints = (
            models.CheckConstraint(condition=~models.Q(made_by="") & ~models.Q(reason=""), name="model_move_signed"),
        )

    def __str__(self) -> str:
        return f"{self.version}: {self.action} by {self.made_by}"


class ModelAlert(models.Model):
    """A version that should serve and cannot; open while `cleared_at` is empty."""

    version = models.CharField(max_length=64)
    message = models.TextField()
    serving = models.CharField(max_length=64, blank=True, help_text="What serves instead.")
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    times = models.PositiveIntegerField(default=1)
    cleared_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "model_alert"
        constraints = (
            # model_alerts.note: one open row, whoever noticed it.
            models.UniqueConstraint(
                fields=["version"], condition=models.Q(cleared_at=None), name="one_open_alert_of_a_model"
            ),
        )

    def __str__(self) -> str:
        return f"{self.version}: {self.message}"


class ModelDrift(models.Model):
    """How far what the champion sees and says has moved from its training; indices as in `evaluation.drift`."""

    version = models.CharField(max_length=64)
    measured_at = models.DateTimeField()
    positions = models.PositiveIntegerField(help_text="Served positions that were looked at.")
    score_psi = models.FloatField()
    moved_share = models.FloatField(help_text="Share of the features whose index is above 0.25.")
    worst = models.JSONField(default=list, help_text="The features that moved most, with their index.")

    class Meta:
        db_table = "model_drift"
        verbose_name = "drift of a model"
        verbose_name_plural = "drift of models"
        # drift_watch.newest: the last measure of the champion.
        indexes = (models.Index(fields=["version", "-measured_at"], name="drift_of_version"),)

    def __str__(self) -> str:
        return f"{self.version}: scores {self.score_psi:.3f}"


class ShadowPage(models.Model):
    """One served page as a shadow would score it: float32 scores by position, its own and those of what served."""

    version = models.CharField(max_length=64)
    request_id = models.UUIDField()
    served_by = models.CharField(max_length=64)
    served_at = models.DateTimeField()
    scores = models.BinaryField()
    served_scores = models.BinaryField()
    took_ms = models.FloatField(help_text="Of the shadow, for the page.")

    class Meta:
        db_table = "shadow_page"
        constraints = (models.UniqueConstraint(fields=["version", "request_id"], name="shadowed_once"),)
        # shadowing.score_pages and summary: the newest pages of a version, and those that are too old.
        indexes = (models.Index(fields=["version", "-served_at"], name="shadow_page_newest"),)

    def __str__(self) -> str:
        return f"{self.request_id} by {self.version}"


class ModelOutcome(models.Model):
    """A shadow or canary and the champion of that moment, judged by what came of the same served exposures."""

    version = models.CharField(max_length=64)
    champion = models.CharField(max_length=64)
    measured_at = models.DateTimeField()
    since = models.DateTimeField(help_text="Exposures from here on.")
    exposures = models.PositiveIntegerField()
    users = models.PositiveIntegerField()
    long_views = models.PositiveIntegerField()
    auc = models.FloatField()
    champion_auc = models.FloatField()
    difference_low = models.FloatField(null=True, help_text="Ends of the 95 % interval, paired, over users.")
    difference_high = models.FloatField(null=True)
    log_loss = models.FloatField()
    champion_log_loss = models.FloatField()
    ece = models.FloatField(help_text="Calibration error.")
    champion_ece = models.FloatField()

    class Meta:
        db_table = "model_outcome"
        verbose_name = "outcome of a tried model"
        verbose_name_plural = "outcomes of tried models"
        # tried_out.newest: the last judgement of a version.
        indexes = (models.Index(fields=["version", "-measured_at"], name="outcome_of_version"),)

    def __str__(self) -> str:
        return f"{self.version}: AUC {self.auc:.4f} beside {self.champion_auc:.4f}"


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
    arm = models.TextField(help_text='"default", "holdout", or experiment=arm of each that acted, with commas.')
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
