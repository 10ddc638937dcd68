"""Tables of the feature store: what was known of contents at which moment.

Rows are written only by `store.py`, `window_rows.py` and `materialize.py`. Users have no table: their features follow
from their last events, which a feed reads anyway, so that an event changes the very next page. Content ids are text
without a foreign key, as in the log: an event may arrive before its content.
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
    """Decayed counters of one content after the last hour of a UTC day in which something happened to it.

    Between its hours a state only fades, which is computed when it is read, and a state within the day follows from the
    day before and the hours of `ContentWindow`; so there is one row per content and day with events.
    """

    content_id = models.TextField()
    day_start = models.DateTimeField(help_text="Start of the UTC day.")
    window_start = models.DateTimeField(help_text="Start of the hour whose events were added last.")
    as_of = models.DateTimeField(help_text="Moment the state holds for: the end of that hour.")
    feature_set = models.CharField(max_length=12, help_text="Layout and meaning of the vector.")
    vector = ArrayField(RealField(), help_text="One decayed sum per signal and half-life.")

    class Meta:
        db_table = "content_features"
        verbose_name_plural = "content features"
        constraints = (
            # Also the index of store.latest and store.as_of: the last row of a content before a moment.
            models.UniqueConstraint(fields=["content_id", "day_start"], name="content_features_once"),
        )

    def __str__(self) -> str:
        return f"{self.content_id} as of {self.as_of:%Y-%m-%d %H:%M}"


class ContentWindow(models.Model):
    """What one hour of the log says of all contents: the sparse table of counts, content by signal.

    It follows from the events of the hour alone, so it is replaced when they change, and everything else follows from
    these rows. `events.windows` knows which hours are due.
    """

    window_start = models.DateTimeField(primary_key=True)
    events = models.PositiveBigIntegerField(help_text="Events of the log in it, of all kinds.")
    counter_set = models.CharField(max_length=12, help_text="Layout and meaning of the counts.")
    folded = models.BooleanField(help_text="Whether the states know it; the running hour waits for its end.")
    contents = ArrayField(models.TextField(), help_text="Contents with any count, ascending.")
    cells = ArrayField(models.IntegerField(), help_text="Place in `contents` times the number of signals, plus signal.")
    counts = ArrayField(RealField(), help_text="The count of each cell; the others are zero.")

    class Meta:
        db_table = "content_window"
        indexes = (
            # materialize asks for the hours whose end has come since they were counted.
            models.Index(fields=["window_start"], condition=models.Q(folded=False), name="content_window_unfolded"),
        )

    def __str__(self) -> str:
        return f"{self.window_start:%Y-%m-%d %H:%M}: {self.events} events"


class PopulationWindow(models.Model):
    """Watch times and surfaces of everybody in one complete hour, and their decayed state after it."""

    window_start = models.DateTimeField(primary_key=True)
    surfaces = ArrayField(models.TextField(), help_text="Surfaces of the state, ascending.")
    watch = ArrayField(RealField(), help_text="Watches per duration bucket and bin.")
    surface = ArrayField(RealField(), help_text="Impressions, views and long views per surface.")
    watch_state = ArrayField(RealField())
    surface_state = ArrayField(RealField())

    class Meta:
        db_table = "population_window"

    def __str__(self) -> str:
        return f"{self.window_start:%Y-%m-%d %H:%M}"


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
