"""Tables of the feature store: what was known of contents at which moment.

Rows are written only by `store.py` and `materialize.py`. Users have no table: their features follow from their last
events, which a feed reads anyway, so that an event changes the very next page. Content ids are text without a foreign
key, as in the log: an event may arrive before its content.
"""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models


class RealField(models.FloatField):  # type: ignore[type-arg]  # takes no parameter at run time
    """A float32: half the size of a float64, and as exact as the arrays that features are computed in."""

    def db_type(self, connection: Any) -> str:
        """PostgreSQL's name of the type."""
        return "real"


class ContentFeatures(models.Model):
    """Decayed counters of one content after one hour in which something happened to it.

    Between such hours a state only fades, which is computed when it is read; so there is one row per content and hour
    with events, and none for silence.
    """

    content_id = models.TextField()
    window_start = models.DateTimeField(help_text="Start of the hour whose events were added last.")
    as_of = models.DateTimeField(help_text="Moment the state holds for: the end of the hour, or while it runs, so far.")
    feature_set = models.CharField(max_length=12, help_text="Layout and meaning of the vector.")
    vector = ArrayField(RealField(), help_text="One decayed sum per signal and half-life.")

    class Meta:
        db_table = "content_features"
        verbose_name_plural = "content features"
        constraints = (
            # Also the index of store.latest and store.as_of: the last row of a content before a moment.
            models.UniqueConstraint(fields=["content_id", "window_start"], name="content_features_once"),
        )
        indexes = (
            # materialize deletes the windows it fills again.
            models.Index(fields=["window_start"], name="content_features_window"),
        )

    def __str__(self) -> str:
        return f"{self.content_id} as of {self.as_of:%Y-%m-%d %H:%M}"


class Embedding(models.Model):
    """The vector of one content's text, as one encoder made it."""

    content_id = models.TextField()
    as_of = models.DateTimeField(help_text="When the text was encoded.")
    encoder = models.CharField(max_length=12, help_text="Version of the encoder; vectors of two do not compare.")
    vector = ArrayField(RealField(), help_text="Unit vector, or zeros where the text says nothing.")

    class Meta:
        db_table = "embedding"
        constraints = (models.UniqueConstraint(fields=["content_id", "encoder", "as_of"], name="embedding_once"),)

    def __str__(self) -> str:
        return f"{self.content_id} by {self.encoder}"


class FillState(models.Model):
    """One hour of the log that is folded into `ContentFeatures`; written in the same transaction as its rows.

    An hour whose events are counted differently in the log is filled again, with all hours after it.
    """

    window_start = models.DateTimeField(primary_key=True)
    as_of = models.DateTimeField(help_text="End of the hour, or how far it had come when it was filled.")
    events = models.PositiveBigIntegerField(help_text="Events of the log in it, of all kinds.")
    feature_set = models.CharField(max_length=12)

    class Meta:
        db_table = "feature_fill_state"

    def __str__(self) -> str:
        return f"{self.window_start:%Y-%m-%d %H:%M}: {self.events} events"
