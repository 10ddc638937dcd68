"""Tables of the feature store: what was known of contents at which moment.

Rows are written only by `store.py`, `window_rows.py`, `lengths.py` and `materialize.py`. Users have no table: their
features follow from their last events, which a feed reads anyway, so that an event changes the very next page. Content
ids are text without a foreign key, as in the log: an event may arrive before its content.
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


class CountedLength(models.Model):
    """How long a clip was when the stored hours were counted; no row where that was unknown. Written by `lengths`."""

    content_id = models.TextField(primary_key=True)
    duration_s = RealField()

    class Meta:
        db_table = "counted_length"

    def __str__(self) -> str:
        return f"{self.content_id}: {self.duration_s:g} s"


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
    """The vector of one content, as one encoder made it of its text, its frames, its sound, or of all of them."""

    content_id = models.TextField()
    as_of = models.DateTimeField(help_text="When it was encoded.")
    encoder = models.CharField(
        max_length=32, help_text="What it encodes, and the version of the encoder; vectors of two do not compare."
    )
    vector = ArrayField(RealField(), help_text="Unit vector, or zeros where there is nothing to say.")

    class Meta:
        db_table = "embedding"
        constraints = (models.UniqueConstraint(fields=["content_id", "encoder", "as_of"], name="embedding_once"),)

    def __str__(self) -> str:
        return f"{self.content_id} by {self.encoder}"


class ContentAnalysis(models.Model):
    """What was found out about one content from its text and its media, and how far that came.

    Each modality says for itself whether it is known, absent, or failed and why, so that a content with a broken clip
    is still recommended by its text. Vectors are rows of `Embedding`. Written by `content`.
    """

    class State(models.TextChoices):
        PENDING = "pending", "waiting for its turn, or for another try"
        RUNNING = "running", "in work"
        DONE = "done", "all there is to know is known"
        PARTIAL = "partial", "some of it failed"
        FAILED = "failed", "nothing is known"

    class ModalityState(models.TextChoices):
        PENDING = "pending"
        DONE = "done"
        MISSING = "missing", "missing: the content has none"
        FAILED = "failed"

    content_id = models.TextField(primary_key=True)
    media_digest = models.CharField(max_length=32, default="", help_text="Of the media's address, size and time.")
    text_digest = models.CharField(max_length=32, default="", help_text="Of caption, tags and category.")
    source_updated_at = models.DateTimeField(help_text="Last change of the content when it was looked at.")
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Since text or media changed last.")
    next_try_at = models.DateTimeField(
        null=True, help_text="When it is due; while it is in work, when it counts as abandoned. Empty: it is settled."
    )
    analysed_at = models.DateTimeField(null=True)
    took_s = models.FloatField(null=True, help_text="Seconds the last analysis took.")

    text_state = models.CharField(max_length=8, choices=ModalityState, default=ModalityState.PENDING)
    text_code = models.CharField(max_length=32, default="", help_text="Reason, where it is missing or failed.")
    text_detail = models.TextField(default="", help_text="The reason as a sentence.")
    visual_state = models.CharField(max_length=8, choices=ModalityState, default=ModalityState.PENDING)
    visual_code = models.CharField(max_length=32, default="")
    visual_detail = models.TextField(default="")
    audio_state = models.CharField(max_length=8, choices=ModalityState, default=ModalityState.PENDING)
    audio_code = models.CharField(max_length=32, default="")
    audio_detail = models.TextField(default="")
    language_state = models.CharField(max_length=8, choices=ModalityState, default=ModalityState.PENDING)
    language_code = models.CharField(max_length=32, default="")
    language_detail = models.TextField(default="")

    media_type = models.CharField(max_length=32, default="", help_text="By its first bytes, such as video/mp4.")
    width = models.PositiveIntegerField(null=True, help_text="Pixels.")
    height = models.PositiveIntegerField(null=True, help_text="Pixels.")
    fps = models.FloatField(null=True, help_text="Frames per second.")
    duration_s = models.FloatField(null=True, help_text="As the file itself says.")
    frames = models.PositiveSmallIntegerField(null=True, help_text="Frames that were looked at.")
    sample_rate = models.PositiveIntegerField(null=True, help_text="Hz, of the file's sound.")
    loudness_db = models.FloatField(null=True, help_text="Root mean square of the sound, dB below full scale.")
    tempo_bpm = models.FloatField(null=True, help_text="Beats per minute.")
    language = models.CharField(max_length=8, default="", help_text="ISO 639 code, as recognised in the text.")
    language_confidence = models.FloatField(null=True, help_text="0 to 1.")
    perceptual_hashes = ArrayField(
        models.BigIntegerField(), default=list, help_text="64-bit pHash of each frame; near-equal frames differ little."
    )
    versions = models.JSONField(default=dict, help_text="Encoder of each modality, as in `Embedding.encoder`.")

    class Meta:
        db_table = "content_analysis"
        verbose_name_plural = "content analyses"
        indexes = (
            # content.claim: what is due, oldest first.
            models.Index(
                fields=["next_try_at"], name="content_analysis_due", condition=models.Q(next_try_at__isnull=False)
            ),
            # content.register: up to where the catalogue was read.
            models.Index(fields=["source_updated_at"], name="content_analysis_source"),
            # The admin list and the counts by reason.
            models.Index(fields=["state", "-analysed_at"], name="content_analysis_state"),
        )

    def __str__(self) -> str:
        return f"{self.content_id}: {self.state}"


class TrendKind(models.IntegerChoices):
    """What a trend can be of."""

    CONTENT = 1
    CREATOR = 2
    TAG = 3
    CATEGORY = 4


class TrendHour(models.Model):
    """People of one hour of the log: what the shares of `TrendPoint` are shares of. Written by `trends.py`."""

    hour = models.IntegerField(primary_key=True, help_text="Hours since 1970 UTC.")
    people = models.IntegerField(help_text="People who engaged with anything.")
    things = ArrayField(models.IntegerField(), help_text="How many things had any, by kind.")
    touches = ArrayField(models.IntegerField(), help_text="People of those things, added up, by kind.")

    class Meta:
        db_table = "trend_hour"

    def __str__(self) -> str:
        return f"{self.people} people in the hour {self.hour}"


class TrendPoint(models.Model):
    """People who engaged with one thing in one hour; no row where nobody did. Forgotten after some weeks."""

    pk = models.CompositePrimaryKey("kind", "name", "hour")
    kind = models.SmallIntegerField(choices=TrendKind)
    name = models.TextField(help_text="Id of the content or creator, the tag, the category.")
    hour = models.IntegerField(help_text="Hours since 1970 UTC.")
    people = models.IntegerField()

    class Meta:
        db_table = "trend_point"
        indexes = (
            # trends.refresh asks which things people touched in the last two hours, and drops hours it counts again.
            models.Index(fields=["hour", "kind"], name="trend_point_hour"),
        )

    def __str__(self) -> str:
        return f"{self.people} people, {self.name} in the hour {self.hour}"


class Trend(models.Model):
    """One thing that rises, or nearly does, as of the newest hour of the log; the whole table is written at once."""

    kind = models.SmallIntegerField(choices=TrendKind)
    name = models.TextField(help_text="Id of the content or creator, the tag, the category.")
    hour = models.IntegerField(help_text="The newer hour of the window judged, hours since 1970 UTC.")
    z = models.FloatField(help_text="How far above what was to be expected, in robust standard deviations.")
    observed = models.FloatField(help_text="People in the two hours of the window, added up.")
    expected = models.FloatField()
    low = models.FloatField()
    high = models.FloatField(help_text="From here on it is a trend.")
    people = models.IntegerField(help_text="People in the busier hour.")
    against = models.SmallIntegerField(help_text="What the expectation was made of.")
    trending = models.BooleanField()

    class Meta:
        db_table = "trend"
        constraints = (models.UniqueConstraint(fields=["kind", "name"], name="trend_once"),)

    def __str__(self) -> str:
        return self.name
