"""Cleaning: from an event as it arrived to the row that is kept, given only the time of arrival.

Rules, in the order in which they are applied:

1. A user is required. A user token speaks for its user; an upload without a user is its creator's.
2. `timestamp` before 2005 (imports: before 1970) or more than 23 hours ahead of arrival is refused. Up to 23 hours
   ahead, the client's clock is wrong, perhaps by a time zone: the time of arrival is kept instead, and what the client
   said stays in `additional_info.clock_corrected`.
3. A watch time above 24 hours is refused. A view needs a watch time; an imported one may state `long_view` instead.
4. Optional fields that are missing stay missing: nothing is guessed.

Fields that only some types carry move into `additional_info`, where reserved names are not the client's to set.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from events.cleaning.schema import ContentUpload, ForbiddenUser, InvalidEvent, RawEvent, View, show

EARLIEST: Final = datetime(2005, 1, 1, tzinfo=UTC)
EARLIEST_IMPORTED: Final = datetime(1970, 1, 1, tzinfo=UTC)
MAX_AHEAD: Final = timedelta(hours=23)
MAX_WATCH_S: Final = 86_400.0

TYPE_FIELDS: Final = ("watch_duration", "long_view", "comment_text", "platform", "reason", "metadata")
CARRIED_FIELDS: Final = ("surface", "time_estimated")
RESERVED: Final = frozenset((*TYPE_FIELDS, *CARRIED_FIELDS, "clock_corrected"))
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


def clean_event(event: RawEvent, *, now: datetime, historical: bool = False, user_id: str | None = None) -> CleanEvent:
    """Apply the rules above to one decoded event.

    Parameters
    ----------
    now : time of arrival
    historical : the event comes from an imported log
    user_id : the user the sender is known to be, if it may speak for one only

    Raises
    ------
    ForbiddenUser
        The event claims another user than `user_id`.
    InvalidEvent
        Code `missing_field`, `timestamp_out_of_range`, `watch_out_of_range`, `unknown_field` or
        `reserved_field`.

    Examples
    --------
    >>> from events.cleaning.schema import decode_event
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
    (20, {'watch_duration': 3.0, 'clock_corrected': '2026-11-23T21:00:00+00:00'})
    """
    info = _gather_info(event, historical=historical)
    timestamp = event.timestamp
    earliest = EARLIEST_IMPORTED if historical else EARLIEST
    if timestamp > now + MAX_AHEAD or timestamp < earliest:
        allowed = f"must lie between {earliest:%Y-%m-%d} and 23 h after arrival"
        raise InvalidEvent("timestamp_out_of_range", f"timestamp: {allowed}; got {timestamp.isoformat()}")
    if timestamp > now:
        info["clock_corrected"] = timestamp.isoformat()
        timestamp = now
    return CleanEvent(
        event.event_id,
        event.__struct_config__.tag,  # type: ignore[arg-type]  # every struct of the union has a text tag
        _user_of(event, user_id),
        event.content_id,
        event.creator_id,
        event.session_id,
        event.request_id,
        event.position,
        timestamp,
        info,
    )


def _user_of(event: RawEvent, user_id: str | None) -> str:
    if user_id is not None:
        for field in ("user_id", "creator_id") if isinstance(event, ContentUpload) else ("user_id",):
            claimed = getattr(event, field)
            if claimed is not None and claimed != user_id:
                raise ForbiddenUser(f"{field}: this token speaks for {show(user_id)}, not for {show(claimed)}")
        return user_id
    if event.user_id is not None:
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
