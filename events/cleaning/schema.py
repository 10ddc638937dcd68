"""What an event looks like when it arrives: one typed struct per event type, and the decoder that names every fault.

An event is one JSON object (or the equal mapping). Its fields stand at the top level, `additional_info` is the one free
object, and an unknown field is refused rather than dropped: a typo in `watch_duration` must not cost a day of data.

This module checks the shape of one event by itself. It knows no clock, no database and no other event; see `rules` for
what needs the time of arrival.
"""

import math
import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, get_args
from uuid import UUID

import msgspec
from msgspec import Meta, Struct


class EventType(StrEnum):
    """Every event type. The position in this list is the code stored in snapshots, so new types are appended."""

    IMPRESSION = "impression"
    VIEW = "view"
    COMPLETE_VIEW = "complete_view"
    REPLAY = "replay"
    SKIP = "skip"
    LIKE = "like"
    UNLIKE = "unlike"
    COMMENT = "comment"
    SHARE = "share"
    SAVE = "save"
    UNSAVE = "unsave"
    FOLLOW = "follow"
    UNFOLLOW = "unfollow"
    HIDE = "hide"
    REPORT = "report"
    CONTENT_UPLOAD = "content_upload"
    UNHIDE = "unhide"


EVENT_TYPES: Final[tuple[str, ...]] = tuple(kind.value for kind in EventType)
"""The names in the order of their codes."""

MAX_ID_CHARS: Final = 200
MAX_COMMENT_CHARS: Final = 2_000
MAX_INFO_BYTES: Final = 8 * 1024
MAX_INFO_DEPTH: Final = 8
MAX_INFO_KEYS: Final = 100
MAX_INFO_CHARS: Final = 1_024
MAX_EVENT_BYTES: Final = 32 * 1024
MAX_INTEGER: Final = 2**63 - 1

Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS)]
Label = Annotated[str, Meta(min_length=1, max_length=64)]
Seconds = Annotated[float, Meta(ge=0)]
Instant = Annotated[datetime, Meta(tz=True)]
# The column is a smallint; no feed is longer.
Rank = Annotated[int, Meta(ge=0, le=32_767)]


class InvalidEvent(ValueError):
    """An event that is refused: a stable `code` for programs, a `detail` naming field and value for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class UnreadableTimestamp(InvalidEvent):
    """An event that is dated by a text or number that is no RFC 3339 time with a zone; `shown` is what it says."""

    def __init__(self, detail: str, shown: str) -> None:
        super().__init__("invalid_value", detail)
        self.shown = shown


class ForbiddenUser(InvalidEvent):
    """An event that claims another user than the one its sender may speak for."""

    def __init__(self, detail: str) -> None:
        super().__init__("forbidden_user", detail)


class RawEvent(Struct, tag_field="event_type", forbid_unknown_fields=True, kw_only=True, frozen=True, gc=False):
    """What every event carries. `event_id` is made once by the client and reused on retry.

    Decoded from JSON it cannot be part of a cycle, so the garbage collector need not look at it.
    """

    event_id: UUID
    timestamp: Instant
    user_id: Id | None = None
    content_id: Id | None = None
    creator_id: Id | None = None
    session_id: Label | None = None
    request_id: UUID | None = None
    position: Rank | None = None
    surface: Label | None = None
    time_estimated: bool | None = None
    additional_info: dict[str, Any] | None = None


class OnContent(RawEvent, kw_only=True, frozen=True):
    """An event about one content."""

    content_id: Id


class Impression(OnContent, tag="impression", frozen=True):
    """The content was seen on screen."""


class View(OnContent, tag="view", kw_only=True, frozen=True):
    """The content was played for `watch_duration` seconds; imported logs may know only whether that was long."""

    watch_duration: Seconds | None = None
    long_view: bool | None = None
    # How often the clip began anew by itself within this view.
    loops: Annotated[int, Meta(ge=0, le=10_000)] | None = None


class CompleteView(OnContent, tag="complete_view", frozen=True):
    """The content was played to its end."""


class Replay(OnContent, tag="replay", frozen=True):
    """The content was played again."""


class Skip(OnContent, tag="skip", kw_only=True, frozen=True):
    """The content was left early, perhaps after `watch_duration` seconds."""

    watch_duration: Seconds | None = None


class Like(OnContent, tag="like", frozen=True):
    """The user likes the content."""


class Unlike(OnContent, tag="unlike", frozen=True):
    """The user takes the like back."""


class Comment(OnContent, tag="comment", kw_only=True, frozen=True):
    """The user commented."""

    comment_text: Annotated[str, Meta(min_length=1, max_length=MAX_COMMENT_CHARS)]


class Share(OnContent, tag="share", kw_only=True, frozen=True):
    """The user passed the content on to `platform`."""

    platform: Label


class Save(OnContent, tag="save", frozen=True):
    """The user keeps the content."""


class Unsave(OnContent, tag="unsave", frozen=True):
    """The user no longer keeps the content."""


class Follow(RawEvent, tag="follow", kw_only=True, frozen=True):
    """The user follows a creator; `content_id` tells from where."""

    creator_id: Id


class Unfollow(RawEvent, tag="unfollow", kw_only=True, frozen=True):
    """The user stops following a creator."""

    creator_id: Id


class Hide(OnContent, tag="hide", frozen=True):
    """The user does not want to see such content."""


class Unhide(OnContent, tag="unhide", frozen=True):
    """The user takes hiding the content back."""


class Report(OnContent, tag="report", kw_only=True, frozen=True):
    """The user says that the content breaks the rules."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class ContentUpload(OnContent, tag="content_upload", kw_only=True, frozen=True):
    """A creator published a content; its description lies in `metadata`."""

    creator_id: Id
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


AnyEvent = (
    Impression
    | View
    | CompleteView
    | Replay
    | Skip
    | Like
    | Unlike
    | Comment
    | Share
    | Save
    | Unsave
    | Follow
    | Unfollow
    | Hide
    | Report
    | ContentUpload
    | Unhide
)

_decoder: Final = msgspec.json.Decoder(AnyEvent)
# `convert` to a union prepares the union anew for every call (17 us); to one struct it does not (3 us).
_STRUCTS: Final[dict[str, type[RawEvent]]] = {str(kind.__struct_config__.tag): kind for kind in get_args(AnyEvent)}
_FIELD = re.compile(r"at `(?:key in )?\$\.?([A-Za-z_]*)")
_NAMED = re.compile(r"field `([^`]*)`")
# A clock that is wrong says a text or a number; anything else is no clock's word, and as good as no time at all.
_NO_TIME = re.compile("got `(null|bool|array|object)`")
# C0 and C1 control characters, and halves of surrogate pairs, which no UTF-8 text can hold.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# In running text, tabs and line breaks are part of what was written.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def decode_event(raw: Mapping[str, Any] | bytes) -> RawEvent:
    """Decode and check one event.

    Parameters
    ----------
    raw : a mapping as `json.loads` gives it (datetimes and UUIDs may be objects), or the JSON text of one object

    Returns
    -------
    RawEvent, an instance of the struct of its type

    Raises
    ------
    InvalidEvent
        With code `malformed`, `missing_field`, `unknown_field`, `unknown_event_type`, `invalid_value`, `too_large` or
        `unstorable`, and a detail naming the field and its value. UnreadableTimestamp where nothing but the time is
        wrong so far: what follows it was not looked at.

    Examples
    --------
    >>> like = {
    ...     "event_type": "like",
    ...     "event_id": "3b241101-e2bb-4255-8caf-4136c566a962",
    ...     "user_id": "u1",
    ...     "content_id": "c1",
    ...     "timestamp": "2026-11-23T20:00:00Z",
    ... }
    >>> type(decode_event(like)).__name__
    'Like'
    >>> decode_event({**like, "position": -1})
    Traceback (most recent call last):
    events.cleaning.schema.InvalidEvent: invalid_value: position: Expected `int` >= 0; got -1
    """
    if isinstance(raw, bytes) and len(raw) > MAX_EVENT_BYTES:
        raise InvalidEvent("too_large", f"the event has {len(raw)} bytes of JSON, at most {MAX_EVENT_BYTES} are taken")
    try:
        event: RawEvent = _decoder.decode(raw) if isinstance(raw, bytes) else msgspec.convert(raw, _struct_of(raw))
    except msgspec.ValidationError as error:
        raise _explain(str(error), raw) from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InvalidEvent("malformed", f"the event is not valid JSON: {error}") from None
    except RecursionError:
        raise InvalidEvent("too_large", f"the event is nested deeper than {MAX_INFO_DEPTH} levels") from None
    _check_texts(event)
    if event.additional_info is not None:
        check_json(event.additional_info, field="additional_info", max_chars=MAX_INFO_CHARS)
    if isinstance(event, ContentUpload):
        check_json(event.metadata, field="metadata")
    return event


def check_text(value: str, *, field: str) -> str:
    """Return an id or label unchanged; raise InvalidEvent where it is blank or holds control characters.

    Examples
    --------
    >>> check_text("user 7", field="user_id")
    'user 7'
    """
    if not value.isprintable() and _UNPRINTABLE.search(value):
        raise InvalidEvent("unstorable", f"{field}: control characters are not allowed; got {show(value)}")
    if value.isspace():
        raise InvalidEvent("invalid_value", f"{field}: must not be blank; got {show(value)}")
    return value


def check_json(value: Any, *, field: str, max_bytes: int = MAX_INFO_BYTES, max_chars: int | None = None) -> None:
    """Raise InvalidEvent where a decoded JSON value is too deep, too large, or holds what `jsonb` cannot keep.

    `max_chars` bounds each text and key; without it, as for the description of a content, only the whole is bounded.
    """
    _walk(value, field, MAX_INFO_DEPTH, max_chars)
    size = len(msgspec.json.encode(value))
    if size > max_bytes:
        raise InvalidEvent("too_large", f"{field}: {size} bytes of JSON, at most {max_bytes} are kept")


def show(value: Any, limit: int = 80) -> str:
    """A value for an error message, cut to `limit` characters."""
    text = ascii(value) if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _struct_of(raw: Mapping[str, Any]) -> type[RawEvent]:
    if not isinstance(raw, Mapping):
        raise InvalidEvent("malformed", f"an event is an object; got {show(raw)}")
    if "event_type" not in raw:
        raise InvalidEvent("missing_field", "event_type: required, but missing")
    name = raw["event_type"]
    struct = _STRUCTS.get(name) if isinstance(name, str) else None
    if struct is None:
        raise _unknown_type(show(name))
    return struct


def _unknown_type(shown: str) -> InvalidEvent:
    return InvalidEvent("unknown_event_type", f"event_type: must be one of {', '.join(EVENT_TYPES)}; got {shown}")


def _check_texts(event: RawEvent) -> None:
    # isprintable alone clears nearly every id, in C; the rest is looked at once more.
    for field in ("user_id", "content_id", "creator_id", "session_id", "surface"):
        value = getattr(event, field)
        if value is not None and (not value.isprintable() or value.isspace()):
            check_text(value, field=field)
    if isinstance(event, Share):
        check_text(event.platform, field="platform")
    elif isinstance(event, Comment):
        _check_running_text(event.comment_text, field="comment_text")
    elif isinstance(event, Report):
        _check_running_text(event.reason, field="reason")


def _check_running_text(value: str, *, field: str) -> None:
    if _UNSTORABLE.search(value):
        raise InvalidEvent("unstorable", f"{field}: holds a NUL or half a surrogate pair; got {show(value)}")


def _walk(value: Any, path: str, depth: int, max_chars: int | None) -> None:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, str):
        _check_length(value, path, max_chars)
        _check_running_text(value, field=path)
    elif isinstance(value, int | float):
        if (isinstance(value, float) and not math.isfinite(value)) or abs(value) > MAX_INTEGER:
            raise InvalidEvent("invalid_value", f"{path}: number out of range; got {show(value)}")
    elif not isinstance(value, Mapping | list | tuple):
        raise InvalidEvent("invalid_value", f"{path}: {type(value).__name__} is no JSON value; got {show(value)}")
    elif depth == 0:
        raise InvalidEvent("too_large", f"{path}: nested deeper than {MAX_INFO_DEPTH} levels")
    elif isinstance(value, Mapping):
        if len(value) > MAX_INFO_KEYS:
            raise InvalidEvent("too_large", f"{path}: {len(value)} keys, at most {MAX_INFO_KEYS} are kept")
        for key, inner in value.items():
            if not isinstance(key, str):
                raise InvalidEvent("invalid_value", f"{path}: keys must be text; got {show(key)}")
            _check_length(key, path, max_chars)
            _check_running_text(key, field=path)
            _walk(inner, f"{path}.{show(key, 40)[1:-1]}", depth - 1, max_chars)
    else:
        for inner in value:
            _walk(inner, f"{path}[]", depth - 1, max_chars)


def _check_length(text: str, path: str, max_chars: int | None) -> None:
    if max_chars is not None and len(text) > max_chars:
        raise InvalidEvent(
            "too_large", f"{path}: {len(text)} characters, at most {max_chars} are kept; got {show(text)}"
        )


def _explain(message: str, raw: Mapping[str, Any] | bytes) -> InvalidEvent:
    """Turn msgspec's message into a code and a detail with the offending value."""
    named = _NAMED.search(message)
    if named and "missing required" in message:
        return InvalidEvent("missing_field", f"{named[1]}: required, but missing")
    if named and "unknown field" in message:
        return InvalidEvent(
            "unknown_field", f"{show(named[1])[1:-1]}: no such field; free fields go into additional_info"
        )
    place = _FIELD.search(message)
    if place is None or not place[1]:
        return InvalidEvent("malformed", message)
    field, value = place[1], _value_at(raw, place[1])
    if field == "event_type":
        return _unknown_type(value)
    detail = f"{field}: {message.partition(' - at')[0]}; got {value}"
    if field == "timestamp" and not _NO_TIME.search(message):
        return UnreadableTimestamp(detail, value)
    return InvalidEvent("invalid_value", detail)


def _value_at(raw: Mapping[str, Any] | bytes, field: str) -> str:
    try:
        mapping = msgspec.json.decode(raw) if isinstance(raw, bytes) else raw
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return "an unreadable value"
    return show(mapping.get(field))
