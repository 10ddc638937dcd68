"""Cleaning: from an event as it arrived to the row that is kept, given only what is known about its arrival.

Rules, in the order in which they are applied:

1. A user is required. A user token speaks for its user, a publishable key for devices (`anon:<device id>`) only; an
   upload without a user is its creator's.
2. Where the batch says when it was sent, the client's clock is corrected by what it was off at that moment:
   `received + (occurred - sent)`. A second or less is the way here, not the clock.
3. A time that lies ahead of arrival even so, or a text or number that cannot be read as one, is replaced by the time of
   arrival. What the client said stays in `additional_info.clock_adjusted`, as for rule 2. Numbers are not read: whether
   seconds or milliseconds are meant would be a guess. A null, object, list or boolean is refused like a missing time. A
   time before 2005 (imports: before 1970) is
   refused, and so is one older than the late window, where the sender has one (`too_late`). Imported logs are not
   corrected: there, a time that cannot be read or lies more than 23 hours ahead is refused.
4. A watch time above 24 hours is refused. A view needs a watch time; an imported one may state `long_view` instead.
   More than the clip's duration times the rounds it was played is cut to that; what the client said stays in
   `additional_info.watch_adjusted`.
5. Bots and staff are marked with `additional_info.bot` and `.internal`. The client cannot say so itself: what only the
   server knows is refused in the body.
6. Optional fields that are missing stay missing: nothing is guessed.

What is not judged here: whether a feed ever showed the content to the user. What was served is kept by the ranking app,
further right than this one may look, so that an event without a showing ("unattributed") is told apart by whoever joins
events to servings, by `request_id` and content: the training examples and the click-through rate.

Fields that only some types carry move into `additional_info`, where reserved names are not the client's to set.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from events.cleaning.schema import (
    ContentUpload,
    ForbiddenUser,
    InvalidEvent,
    RawEvent,
    UnreadableTimestamp,
    View,
    decode_event,
    show,
)

EARLIEST: Final = datetime(2005, 1, 1, tzinfo=UTC)
EARLIEST_IMPORTED: Final = datetime(1970, 1, 1, tzinfo=UTC)
MAX_AHEAD_IMPORTED: Final = timedelta(hours=23)
MAX_WATCH_S: Final = 86_400.0
TRANSIT: Final = timedelta(seconds=1)
# Players round, and a catalogue may know the length to the second only.
WATCH_SLACK_S: Final = 0.5
# At least 16 characters: who knows a device id may read its feed, so it must not be guessed.
ANONYMOUS = "anon:"
"""What the ids of devices begin with."""
_ANONYMOUS = re.compile(re.escape(ANONYMOUS) + r"[A-Za-z0-9._~-]{16,128}")

TYPE_FIELDS: Final = ("watch_duration", "long_view", "loops", "comment_text", "platform", "reason", "metadata")
CARRIED_FIELDS: Final = ("surface", "time_estimated")
SERVER_FIELDS: Final = (
    "clock_corrected", "clock_adjusted", "watch_adjusted", "bot", "internal", "is_bot", "is_internal", "received_at",
    "variant", "model_version",
)  # fmt: skip
RESERVED: Final = frozenset((*TYPE_FIELDS, *CARRIED_FIELDS, *SERVER_FIELDS))
_CARRIED_BY_TYPE: Final[dict[type[RawEvent], tuple[str, ...]]] = {}


class CleanEvent(NamedTuple):
    """One row of the log, in the order of its columns; `received_at` is the same for a whole batch and added there."""

    event_id: UUID
    event_type: str
    user_id: str
    content_id: str | None
    creator_id: str | None
    session_id: str | None
    request_id: UUID | None
    position: int | None
    timestamp: datetime
    additional_info: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sending:
    """What the server knows about a batch beyond the time of its arrival.

    Attributes
    ----------
    sent_at : when the client sent it, by the client's clock
    oldest : times before this moment come too late; None where any age is welcome
    anonymous : the sender may speak for devices only
    bot : the sender is a program, not a person
    internal : user ids of staff
    """

    sent_at: datetime | None = None
    oldest: datetime | None = None
    anonymous: bool = False
    bot: bool = False
    internal: frozenset[str] = frozenset()


PLAIN: Final = Sending()


def read_event(raw: Mapping[str, Any] | bytes, *, now: datetime, historical: bool = False) -> tuple[RawEvent, str]:
    """Decode one event, and what it says of its time where that cannot be read ("" where it can; see rule 3).

    Raises
    ------
    InvalidEvent
        See `decode_event`.
    """
    try:
        return decode_event(raw), ""
    except UnreadableTimestamp as error:
        if historical:
            raise
        try:
            mapping = msgspec.json.decode(raw) if isinstance(raw, bytes) else raw
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            # What is no event even without its time, such as a number beyond all floats, keeps the first verdict.
            raise error from None
        return decode_event({**mapping, "timestamp": now}), error.shown


def clean_event(
    event: RawEvent,
    *,
    now: datetime,
    historical: bool = False,
    user_id: str | None = None,
    sending: Sending = PLAIN,
    unreadable: str = "",
    duration_s: float | None = None,
) -> CleanEvent:
    """Apply the rules above to one decoded event.

    Parameters
    ----------
    now : time of arrival
    historical : the event comes from an imported log
    user_id : the user the sender is known to be, if it may speak for one only
    sending : what is known about the batch
    unreadable : what stands in place of a time (`read_event`)
    duration_s : length of the content, where it is known

    Raises
    ------
    ForbiddenUser
        The event claims another user than the sender may speak for.
    InvalidEvent
        Code `missing_field`, `timestamp_out_of_range`, `too_late`, `watch_out_of_range`, `unknown_field` or
        `reserved_field`.

    Examples
    --------
    >>> raw = decode_event(
    ...     {
    ...         "event_type": "view",
    ...         "event_id": "3b241101-e2bb-4255-8caf-4136c566a962",
    ...         "user_id": "u1",
    ...         "content_id": "c1",
    ...         "watch_duration": 3,
    ...         "timestamp": "2026-11-23T21:00:00Z",
    ...     }
    ... )
    >>> clean = clean_event(raw, now=datetime(2026, 11, 23, 20, tzinfo=UTC))
    >>> clean.timestamp.hour, clean.additional_info
    (20, {'watch_duration': 3.0, 'clock_adjusted': '2026-11-23T21:00:00+00:00'})
    """
    info = _gather_info(event, historical=historical)
    user = _user_of(event, user_id, anonymous=sending.anonymous)
    timestamp = _time_of(event, now=now, historical=historical, sending=sending)
    if unreadable:
        info["clock_adjusted"] = unreadable
    elif timestamp is not event.timestamp:
        info["clock_adjusted"] = event.timestamp.isoformat()
    if duration_s is not None and not historical:
        _bound_watch(info, duration_s)
    if sending.bot:
        info["bot"] = True
    if user in sending.internal:
        info["internal"] = True
    return CleanEvent(
        event.event_id,
        event.__struct_config__.tag,  # type: ignore[arg-type]  # every struct of the union has a text tag
        user,
        event.content_id,
        event.creator_id,
        event.session_id,
        event.request_id,
        event.position,
        timestamp,
        info,
    )


def is_anonymous(user_id: str) -> bool:
    """Whether a user id names a device nobody has logged in on.

    >>> is_anonymous("anon:7d1f0c2e-9a55-4b7e"), is_anonymous("anon:7"), is_anonymous("ann")
    (True, False, False)
    """
    return _ANONYMOUS.fullmatch(user_id) is not None


def _time_of(event: RawEvent, *, now: datetime, historical: bool, sending: Sending) -> datetime:
    """The event's own time object, or the one that takes its place."""
    said = timestamp = event.timestamp
    earliest = EARLIEST_IMPORTED if historical else EARLIEST
    if historical:
        if timestamp > now + MAX_AHEAD_IMPORTED:
            raise _out_of_range(f"must lie between {earliest:%Y-%m-%d} and 23 h after arrival", said)
    elif sending.sent_at is not None and abs(now - sending.sent_at) > TRANSIT:
        try:
            timestamp = now + (said - sending.sent_at)
        except OverflowError:
            raise _out_of_range(f"lies {said - sending.sent_at} from sent_at", said) from None
    if timestamp < earliest:
        raise _out_of_range(f"must not lie before {earliest:%Y-%m-%d}", said)
    if sending.oldest is not None and not historical and timestamp < sending.oldest:
        raise InvalidEvent("too_late", f"timestamp: must not lie before {sending.oldest.isoformat()}; got {said}")
    return min(timestamp, now)


def _out_of_range(allowed: str, said: datetime) -> InvalidEvent:
    return InvalidEvent("timestamp_out_of_range", f"timestamp: {allowed}; got {said.isoformat()}")


def _bound_watch(info: dict[str, Any], duration_s: float) -> None:
    watch_s = info.get("watch_duration")
    longest = duration_s * (1 + info.get("loops", 0))
    if watch_s is not None and watch_s > longest + WATCH_SLACK_S:
        info["watch_duration"], info["watch_adjusted"] = longest, watch_s


def _user_of(event: RawEvent, user_id: str | None, *, anonymous: bool) -> str:
    if user_id is not None:
        for field in ("user_id", "creator_id") if isinstance(event, ContentUpload) else ("user_id",):
            claimed = getattr(event, field)
            if claimed is not None and claimed != user_id:
                raise ForbiddenUser(f"{field}: this token speaks for {show(user_id)}, not for {show(claimed)}")
        return user_id
    if anonymous and isinstance(event, ContentUpload):
        raise ForbiddenUser("event_type: a publishable key uploads nothing")
    if event.user_id is not None:
        if anonymous and not is_anonymous(event.user_id):
            raise ForbiddenUser(
                f"user_id: a publishable key speaks for anon:<device id>, not for {show(event.user_id)}"
            )
        return event.user_id
    if isinstance(event, ContentUpload):
        return event.creator_id
    raise InvalidEvent("missing_field", "user_id: required, but missing")


def _gather_info(event: RawEvent, *, historical: bool) -> dict[str, Any]:
    """The free object plus the fields that only some types carry."""
    info: dict[str, Any] = {}
    if event.additional_info:
        taken = RESERVED.intersection(event.additional_info)
        if taken:
            name = min(taken)
            raise InvalidEvent(
                "reserved_field", f"additional_info.{name}: reserved; the field belongs to the top level"
            )
        info.update(event.additional_info)
    for field in _carried_fields(type(event)):
        value = getattr(event, field)
        if value is not None:
            info[field] = value
    if not historical and ("long_view" in info or "time_estimated" in info):
        name = "long_view" if "long_view" in info else "time_estimated"
        raise InvalidEvent("unknown_field", f"{name}: only imported logs may carry it")
    watch_s = info.get("watch_duration")
    if watch_s is not None and watch_s > MAX_WATCH_S:
        raise InvalidEvent("watch_out_of_range", f"watch_duration: more than 24 h; got {watch_s} seconds")
    if watch_s is None and "long_view" not in info and isinstance(event, View):
        raise InvalidEvent("missing_field", "watch_duration: required for a view, in seconds")
    return info


def _carried_fields(kind: type[RawEvent]) -> tuple[str, ...]:
    fields = _CARRIED_BY_TYPE.get(kind)
    if fields is None:
        fields = tuple(name for name in (*TYPE_FIELDS, *CARRIED_FIELDS) if name in kind.__struct_fields__)
        _CARRIED_BY_TYPE[kind] = fields
    return fields
