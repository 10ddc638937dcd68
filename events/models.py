"""Tables of the data ingestion layer: profiles, contents, the append-only event log, API keys, import progress.

Rows are written only by `catalogue.py` (UserProfile, Content, Suspension), `vectors.py` (ContentVector),
`log_writer.py` (Event, EventId), `partitions.py` (Refusal, DroppedMonth), `api_keys.py` (ApiKey) and `importing.py`
(ImportProgress); those of derived rows stand with their tables.
Ids come from the host app, so they are text, and the log has no foreign keys: an event may arrive before the content
it is about.
"""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.db import models
from django.db.models.fields.json import KeyTransform

from events.cleaning.audience import EVERYONE, RATINGS
from events.cleaning.schema import EVENT_TYPES

# Never forgotten by a feed, with what takes one of them back.
REFUSALS = ("hide", "report", "unhide")


class UserProfile(models.Model):
    """What the host app tells of a user; behaviour lives in the event log, never here."""

    user_id = models.TextField(primary_key=True)
    demographics = models.JSONField(default=dict, blank=True)
    preferences = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    history_from = models.DateTimeField(
        null=True, blank=True, editable=False,
        help_text="What the user did before chooses nothing any more; empty: nothing was reset.",
    )  # fmt: skip
    stated_before = models.JSONField(
        default=list, db_default=models.Value([], models.JSONField()), blank=True, editable=False,
        help_text="What features read of it earlier, and until when, oldest first; kept by a trigger.",
    )  # fmt: skip

    class Meta:
        db_table = "user_profile"

    def __str__(self) -> str:
        return self.user_id


class Content(models.Model):
    """One clip of the catalogue. `metadata` keeps caption, tags and category; columns are what serving filters by."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        HIDDEN = "hidden"
        REMOVED = "removed"

    content_id = models.TextField(primary_key=True)
    creator_id = models.TextField(db_index=True)
    upload_timestamp = models.DateTimeField()
    metadata = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    duration_s = models.FloatField(null=True, blank=True, help_text="Length of the clip in seconds.")
    language = models.CharField(max_length=16, blank=True, default="")
    media_url = models.TextField(blank=True, default="")
    thumbnail_url = models.TextField(blank=True, default="")
    age_rating = models.CharField(
        max_length=8,
        default=EVERYONE,
        db_default=EVERYONE,
        help_text="Who may see it: everyone, from an age on, or nobody until it is known.",
    )
    geo_allow = ArrayField(
        models.CharField(max_length=2), default=list, blank=True, help_text="Countries it is limited to; empty for all."
    )
    geo_deny = ArrayField(
        models.CharField(max_length=2), default=list, blank=True, help_text="Countries it is not shown in."
    )
    # What moderation imposes stands beside what the host app tells, so that a nightly sync takes nothing of it back.
    feed_eligible = models.BooleanField(
        default=True, db_default=True, help_text="Whether feeds may pick it; the content itself stays reachable."
    )
    imposed_age_rating = models.CharField(
        max_length=8, default=EVERYONE, db_default=EVERYONE, help_text="The age limit that moderation set."
    )
    imposed_geo_deny = ArrayField(
        models.CharField(max_length=2), default=list, db_default=[], blank=True,
        help_text="Countries that moderation closed to it.",
    )  # fmt: skip
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="From then on nobody is shown it; empty for no end."
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "content"
        indexes = (
            # queries.newest_contents: the fresh source asks for the newest active uploads on every feed.
            models.Index(fields=["-upload_timestamp"], name="content_newest", condition=models.Q(status="active")),
            # queries.catalogue_changed_at and content_changes: every few seconds, what is new or changed.
            models.Index(fields=["updated_at"], name="content_updated"),
            # catalogue.note_expired: every minute, what has ended.
            models.Index(fields=["expires_at"], name="content_expires", condition=models.Q(expires_at__isnull=False)),
            # tags.contents_tagged: filters by tag. Without a list of pending rows, which every lookup would go through.
            GinIndex(KeyTransform("tags", "metadata"), name="content_tags", fastupdate=False),
        )
        constraints = (
            models.CheckConstraint(
                condition=models.Q(duration_s__isnull=True) | models.Q(duration_s__gt=0),
                name="content_duration_positive",
            ),
            models.CheckConstraint(condition=models.Q(age_rating__in=list(RATINGS)), name="content_age_rating_known"),
            models.CheckConstraint(
                condition=models.Q(imposed_age_rating__in=list(RATINGS)), name="content_imposed_age_rating_known"
            ),
        )

    def __str__(self) -> str:
        return self.content_id


class ContentVector(models.Model):
    """The vector that the host app gave a content; beside the catalogue, whose rows every feed reads and stay short.

    The database takes it away with its content.
    """

    content_id = models.TextField(primary_key=True)
    space = models.TextField(help_text="The model that made it, and its dimensions; vectors of two do not compare.")
    vector = models.BinaryField(help_text="Of unit length, float32, little-endian.")
    changed_at = models.DateTimeField()

    class Meta:
        db_table = "content_vector"

    def __str__(self) -> str:
        return f"{self.content_id} in {self.space}"


class Suspension(models.Model):
    """A user whose contents leave every feed for a while. Written by `catalogue.set_suspension`."""

    user_id = models.TextField(primary_key=True)
    until = models.DateTimeField(null=True, help_text="Over by itself from then on; empty for no end.")

    class Meta:
        db_table = "suspension"

    def __str__(self) -> str:
        return self.user_id


class EmergencyStop(models.Model):
    """Something that nobody is shown while the stop runs: a content, or all of a creator, a tag or a sound.

    Written by `stops` alone; the database refuses to drop a row, or to change more of it than its end.
    """

    class Kind(models.TextChoices):
        CONTENT = "content"
        CREATOR = "creator"
        TAG = "tag"
        SOUND = "sound"

    kind = models.CharField(max_length=8, choices=Kind)
    value = models.TextField(help_text="An id; a tag without its hash sign, in small letters.")
    reason = models.TextField(help_text="Why; for staff.")
    started_at = models.DateTimeField()
    started_by = models.BigIntegerField(help_text="The member of staff.")
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.BigIntegerField(null=True)

    class Meta:
        db_table = "emergency_stop"
        constraints = (
            # Also what every feed looks through; it holds the few that run.
            models.UniqueConstraint(
                fields=["kind", "value"], condition=models.Q(lifted_at__isnull=True), name="emergency_stop_runs_once"
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"


class Event(models.Model):
    """One interaction, as it happened. Append-only: nothing updates a row.

    Partitioned by month of `timestamp` (see `partitions`). A unique index would have to contain the timestamp, so the
    table has none: that an id is stored once is what EventId promises.
    """

    event_id = models.UUIDField(primary_key=True)
    event_type = models.CharField(max_length=24, choices=[(name, name) for name in EVENT_TYPES])
    user_id = models.TextField()
    content_id = models.TextField(null=True)
    creator_id = models.TextField(null=True)
    session_id = models.TextField(null=True)
    request_id = models.UUIDField(null=True)
    position = models.SmallIntegerField(null=True)
    timestamp = models.DateTimeField(help_text="When it happened, by the client's clock.")
    received_at = models.DateTimeField(help_text="When this server took it in.")
    additional_info = models.JSONField(default=dict)

    class Meta:
        db_table = "event"
        indexes = (
            # queries.recent_history: the feed reads the user's last events on every request.
            models.Index(fields=["user_id", "-timestamp"], name="event_user_recent"),
            # queries.recent_history: what a user refused is remembered for good, however long ago it was.
            models.Index(fields=["user_id"], name="event_refused", condition=models.Q(event_type__in=REFUSALS)),
            # queries.interactions_between: windows of the log in order of time.
            models.Index(fields=["timestamp"], name="event_timestamp"),
            # queries.reports_between: a few among the millions of an hour that is read again every half minute.
            models.Index(fields=["timestamp"], name="event_reports", condition=models.Q(event_type="report")),
        )

    def __str__(self) -> str:
        return f"{self.event_type} {self.event_id}"


class EventId(models.Model):
    """An event id that is taken, written in the transaction of its event: the first writer of an id wins.

    Forgotten some weeks after arrival (`partitions.prune_ids`).
    """

    event_id = models.UUIDField(primary_key=True)
    timestamp = models.DateTimeField(help_text="Finds the event's partition.")
    arrived = models.DateField(help_text="UTC day of arrival.")
    digest = models.BinaryField(help_text="BLAKE2b of what was sent, eight bytes; tells a retry from a conflict.")

    class Meta:
        db_table = "event_dedup"
        indexes = (
            # partitions.prune_ids: rows lie in the order of arrival, so a summary per block range is enough.
            BrinIndex(fields=["arrived"], name="event_dedup_arrived", pages_per_range=32),
        )

    def __str__(self) -> str:
        return str(self.event_id)


class Refusal(models.Model):
    """What a user refused, or took back, in a month that is no longer in the log: remembered until the user is erased.

    Written when a partition is dropped (`partitions.drop_expired`); erased by user id.
    """

    event_id = models.UUIDField(primary_key=True)
    event_type = models.CharField(max_length=24)
    user_id = models.TextField()
    content_id = models.TextField(null=True)
    creator_id = models.TextField(null=True)
    timestamp = models.DateTimeField()

    class Meta:
        db_table = "refusal"
        indexes = (
            # queries.recent_history, and the erasure of a user.
            models.Index(fields=["user_id"], name="refusal_user"),
        )

    def __str__(self) -> str:
        return f"{self.event_type} {self.event_id}"


class DroppedMonth(models.Model):
    """A month that retention took out of the log, for good. Written by `partitions.drop_expired`."""

    month = models.DateField(primary_key=True, help_text="Its first day, UTC.")
    dropped_at = models.DateTimeField(help_text="From then on nobody could read its events.")

    class Meta:
        db_table = "dropped_month"

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class ApiKey(models.Model):
    """A key of the host app. Only its SHA-256 is kept: it has 256 random bits, so a slow hash would protect nothing."""

    class Kind(models.TextChoices):
        SERVER = "server", "Server key (sk_), for backends only"
        PUBLISHABLE = "publishable", "Publishable key (pk_), for pages before log-in"

    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.SERVER)
    scopes = models.JSONField(default=list, help_text="What the key may do.")
    origins = models.JSONField(default=list, blank=True, help_text="Pages that may use a publishable key.")
    prefix = models.CharField(max_length=12, help_text="First characters, to tell keys apart.")
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the minute or so.")

    class Meta:
        db_table = "api_key"
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}...)"


class ImportProgress(models.Model):
    """How far an import of one file came; written in the same transaction as the rows it counts."""

    source = models.CharField(max_length=32)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 over the file's name, size and first megabyte.")
    rows_done = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "import_progress"
        verbose_name = "import"
        constraints = (models.UniqueConstraint(fields=["source", "fingerprint"], name="import_progress_once"),)

    def __str__(self) -> str:
        return f"{self.source} {self.fingerprint[:12]}: {self.rows_done}"


class DeadLetter(models.Model):
    """An event that was refused, kept with its reason so that somebody can fix it and send it on.

    The same bad event of the same sender, sent again, raises `times` and adds no row. Written by `dead_letters`.
    """

    class State(models.TextChoices):
        OPEN = "open"
        REPLAYED = "replayed"
        DISCARDED = "discarded"

    digest = models.BinaryField(unique=True, help_text="BLAKE2b of payload, first code and sender, sixteen bytes.")
    code = models.CharField(max_length=64, help_text="Why it was refused, last time it was tried.")
    detail = models.TextField(help_text="The reason as a sentence.")
    payload = models.BinaryField(help_text="What was sent; bytes, because it may be no text at all.")
    size = models.IntegerField(help_text="Bytes that were sent; more than are kept when the event was too large.")
    historical = models.BooleanField(default=False, help_text="It came as part of an old log.")
    source = models.CharField(max_length=64)
    user_id = models.TextField(null=True, help_text="Whom the sender's token speaks for.")
    anonymous = models.BooleanField(db_default=False, help_text="The sender's key speaks for devices only.")
    bot = models.BooleanField(db_default=False, help_text="The sender was a program, not a person.")
    sent_at = models.DateTimeField(null=True, help_text="When its batch was sent, by the client's clock.")
    received_at = models.DateTimeField(help_text="When it came first.")
    last_at = models.DateTimeField(help_text="When it came last.")
    times = models.IntegerField(default=1)
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    note = models.TextField(default="", blank=True)
    settled_by = models.CharField(max_length=150, default="", blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    sent_on = models.BinaryField(null=True, help_text="What was replayed, where that is not what was sent.")

    class Meta:
        db_table = "dead_letter"
        verbose_name = "dead letter"
        permissions = (
            ("replay_deadletter", "Can fix and replay dead letters"),
            ("discard_deadletter", "Can discard dead letters"),
            ("reveal_deadletter", "Can see the user ids in dead letters"),
            ("export_deadletter", "Can export dead letters"),
        )
        indexes = (
            # dead_letters.groups and the admin list: what is open, by reason, newest first.
            models.Index(fields=["code", "-last_at"], name="dead_letter_open", condition=models.Q(state="open")),
            # dead_letters.drop_expired.
            models.Index(fields=["last_at"], name="dead_letter_last_at"),
        )

    def __str__(self) -> str:
        return f"{self.code} {self.pk}"


class LetterWork(models.Model):
    """Letters that somebody wants settled together, and how far that is. Written by `letter_work`."""

    class Kind(models.TextChoices):
        REPLAY = "replay"
        DISCARD = "discard"

    kind = models.CharField(max_length=16, choices=Kind)
    letters = ArrayField(models.BigIntegerField(), help_text="Keys of the letters, in order.")
    total = models.IntegerField()
    done = models.IntegerField(default=0, help_text="How many of them, from the first on, were looked at.")
    settled = models.IntegerField(default=0, help_text="Replayed or discarded by this work.")
    known = models.IntegerField(default=0, help_text="Of these, in the log already.")
    conflicts = models.IntegerField(default=0, help_text="Of these, in the log with another payload.")
    failed = models.IntegerField(default=0, help_text="Refused again.")
    note = models.TextField(default="", blank=True)
    user_id = models.BigIntegerField(help_text="The member of staff, for the admin's log.")
    by = models.CharField(max_length=150)
    started_at = models.DateTimeField()

    class Meta:
        db_table = "letter_work"

    def __str__(self) -> str:
        return f"{self.kind} of {self.total} dead letters"


class HourChange(models.Model):
    """By how much one statement changed one hour of the log; the sums of an hour are those of its events.

    Written by triggers of the log (migration 0008), so deletions by hand are in it; summed up by `hour_counts`.
    """

    window_start = models.DateTimeField()
    events = models.BigIntegerField(help_text="Events that came minus events that went.")
    changes = models.BigIntegerField(help_text="Events that came plus events that went.")

    class Meta:
        db_table = "hour_change"

    def __str__(self) -> str:
        return f"{self.window_start:%Y-%m-%d %H}h {self.events:+}"


class WindowFill(models.Model):
    """One hour of the log as one family of derived rows has taken it in. Written by `windows`.

    A row that stays STARTED tells of a run that died; the hour is done again. One that is ASIDE failed every time it
    was tried, and waits for somebody.
    """

    class State(models.TextChoices):
        STARTED = "started"
        DONE = "done"
        ASIDE = "aside"

    family = models.CharField(max_length=32)
    window_start = models.DateTimeField()
    state = models.CharField(max_length=16, choices=State)
    events = models.BigIntegerField(help_text="Events of the hour when the run began; -1 asks for another run.")
    changes = models.BigIntegerField(
        null=True, help_text="How often events had come or gone by then; empty: nobody counted."
    )
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    attempts = models.SmallIntegerField(default=0, help_text="Times in a row that it failed.")
    retry_at = models.DateTimeField(null=True, blank=True, help_text="Not tried again before this moment.")
    error = models.TextField(blank=True, default="", help_text="Why it failed last.")

    class Meta:
        db_table = "window_fill"
        verbose_name = "filled window"
        constraints = (models.UniqueConstraint(fields=["family", "window_start"], name="window_fill_once"),)

    def __str__(self) -> str:
        return f"{self.family} {self.window_start:%Y-%m-%d %H}h {self.state}"


class Session(models.Model):
    """One visit of one user on one device, rebuilt from the log whenever the log around it changes (`sessions`)."""

    key = models.UUIDField(primary_key=True, help_text="Made of user, device and start, so a rebuild makes it again.")
    user_id = models.TextField()
    device = models.TextField(blank=True, default="", help_text="Empty where no event names one.")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(help_text="The latest event plus what was watched of it.")
    events = models.IntegerField()
    views = models.IntegerField()
    watch_s = models.FloatField(help_text="Watched seconds.")
    first_content = models.TextField(null=True, help_text="The first content the session is about.")

    class Meta:
        db_table = "session"
        indexes = (
            # sessions.rebuild_sessions: the sessions of some users around an hour.
            models.Index(fields=["user_id", "started_at"], name="session_user_start"),
            # Sessions belong to the day they start on.
            models.Index(fields=["started_at"], name="session_start"),
        )

    def __str__(self) -> str:
        return f"{self.user_id} {self.started_at:%Y-%m-%d %H:%M}"


class AutomatedHour(models.Model):
    """An hour in which a user behaved like a program (`cleaning.behaviour`). Rebuilt from the log by `traffic`."""

    user_id = models.TextField()
    window_start = models.DateTimeField()

    class Meta:
        db_table = "automated_hour"
        constraints = (
            # queries.interactions_between leaves these hours out; traffic rebuilds some hours at once.
            models.UniqueConstraint(fields=["window_start", "user_id"], name="automated_hour_once"),
        )

    def __str__(self) -> str:
        return f"{self.user_id} {self.window_start:%Y-%m-%d %H}h"
