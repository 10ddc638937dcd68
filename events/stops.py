"""Emergency stops: something leaves every feed, list and page at the next response, in one step, and comes back in one.

`queries` asks for running stops wherever it asks what may be shown, so open cursors obey as well. Nothing of the
catalogue changes: lifting a stop restores exactly what was there before.
"""

from datetime import datetime
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import Q

from events.cleaning.schema import show
from events.errors import Conflict, InvalidRequest, NotFound
from events.models import Content, EmergencyStop

MAX_VALUE_CHARS: Final = 256
MAX_REASON_CHARS: Final = 500
KINDS: Final = tuple(EmergencyStop.Kind.values)
Stop = EmergencyStop
"""For whoever is not of this app: the row of one stop."""


def value_of(kind: str, raw: str) -> str:
    """What a stop compares: an id as it is, a tag without its hash sign and differences of case.

    Raises
    ------
    InvalidRequest : the kind is none, or the value is empty or too long
    """
    if kind not in KINDS:
        raise InvalidRequest(f"kind must be one of {', '.join(KINDS)}; got {show(kind)}", code="unknown_kind")
    value = _tag(raw) if kind == "tag" else raw
    if not 1 <= len(value) <= MAX_VALUE_CHARS or "\0" in value:
        raise InvalidRequest(f"value must have 1 to {MAX_VALUE_CHARS} characters; got {show(raw)}", code="bad_value")
    return value


def start(kind: str, raw: str, *, reason: str, by: int, now: datetime) -> EmergencyStop:
    """Stop something everywhere; the same again returns the stop that runs.

    Raises
    ------
    InvalidRequest : see `value_of`; or there is no reason, or a long one
    """
    value = value_of(kind, raw)
    if not 1 <= len(reason.strip()) <= MAX_REASON_CHARS:
        raise InvalidRequest(f"reason must have 1 to {MAX_REASON_CHARS} characters", code="bad_reason", field="reason")
    try:
        with transaction.atomic():
            return EmergencyStop.objects.create(
                kind=kind, value=value, reason=reason.strip(), started_at=now, started_by=by
            )
    except IntegrityError:
        return EmergencyStop.objects.get(kind=kind, value=value, lifted_at=None)


def lift(stop_id: int, *, by: int, now: datetime) -> EmergencyStop:
    """End a stop; everything is shown as before it.

    Raises
    ------
    NotFound : there is no such stop
    Conflict : it was lifted before
    """
    if not EmergencyStop.objects.filter(pk=stop_id, lifted_at=None).update(lifted_at=now, lifted_by=by):
        if not EmergencyStop.objects.filter(pk=stop_id).exists():
            raise NotFound(f"there is no stop {stop_id}", stop_id=stop_id)
        raise Conflict("this stop was lifted before", code="already_lifted")
    return EmergencyStop.objects.get(pk=stop_id)


def of_contents_by(creator_id: str, *, since: datetime) -> list[Stop]:
    """Stops of tags and sounds that contents of a creator have, newest first: those that run, or ended `since`."""
    kinds = Q(kind__in=(EmergencyStop.Kind.TAG, EmergencyStop.Kind.SOUND))
    some = EmergencyStop.objects.filter(kinds, Q(lifted_at=None) | Q(lifted_at__gte=since))
    if not some.exists():
        return []
    has: set[tuple[str, str]] = set()
    for metadata in Content.objects.filter(creator_id=creator_id).values_list("metadata", flat=True).iterator():
        told = metadata if isinstance(metadata, dict) else {}
        tags = told["tags"] if isinstance(told.get("tags"), list) else []
        has |= {("tag", _tag(tag)) for tag in tags if isinstance(tag, str)}
        has |= {("sound", told["sound_id"])} if isinstance(told.get("sound_id"), str) else set()
    return [stop for stop in some.order_by("-id") if (stop.kind, stop.value) in has]


def _tag(raw: str) -> str:
    return raw.strip().lstrip("#").strip().lower()


def listed(*, limit: int) -> list[EmergencyStop]:
    """The stops that run, newest first, and then those that were lifted last."""
    running = list(EmergencyStop.objects.filter(lifted_at=None).order_by("-id")[:limit])
    return running + list(EmergencyStop.objects.exclude(lifted_at=None).order_by("-lifted_at")[: limit - len(running)])
