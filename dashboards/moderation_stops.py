"""Emergency stops as decisions: whoever is stopped learns of it and why, can object, and the log knows.

A stop of a content or of a creator is an entry of the moderation log. One of a tag or a sound reaches contents that
nobody has listed, so their creators are told when they ask.
"""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4, uuid5

from django.db import transaction

from dashboards import moderation, moderation_log
from dashboards.casework.log import STOP, UNDO
from dashboards.casework.policies import POLICIES
from dashboards.casework.statement import APPEAL_DAYS, statement
from dashboards.moderation import Moderator
from dashboards.moderation_log import Subject
from dashboards.moderation_models import ModerationAction
from events import queries, stops
from events.cleaning.schema import show
from events.errors import InvalidRequest
from events.stops import Stop

_NAMESPACE: Final = UUID("5b0c7a0e-3f53-4f0b-9a54-0c1f6f4b7d21")
"""Arbitrary and fixed: names the stops of tags and sounds, which are no decisions about one person."""


def start(kind: str, raw: str, *, policy: str, reason: str, by: Moderator, now: datetime) -> Stop:
    """Stop something everywhere, and write down whom that restricts; the same again returns the stop that runs.

    Raises
    ------
    InvalidRequest : see `stops.start`; or there is no such policy
    """
    if policy not in POLICIES:
        raise InvalidRequest(f"policy must be one of {', '.join(POLICIES)}; got {show(policy)}", code="unknown_policy")
    with transaction.atomic():
        made = stops.start(kind, raw, reason=reason, by=by.id, now=now)
        subject = _subject_of(made)
        if subject is not None:
            with moderation_log.changing(subject):
                if not _entries(made, subject):
                    moderation_log.append(
                        subject, STOP, at=now, actor_id=by.id, decision_id=uuid4(), policy=policy,
                        note=made.reason, data={"stop": made.pk},
                    )  # fmt: skip
                    moderation_log.derive(subject)
    return made


def lift(stop_id: int, *, by: Moderator, now: datetime) -> Stop:
    """End a stop; everything is shown as before it, and whoever was told of it sees that it is over.

    Raises
    ------
    NotFound, Conflict : see `stops.lift`
    """
    with transaction.atomic():
        lifted = stops.lift(stop_id, by=by.id, now=now)
        subject = _subject_of(lifted)
        for entry in _entries(lifted, subject) if subject is not None else ():
            assert entry.decision_id is not None  # a constraint of the table
            if moderation_log.in_force(entry.decision_id):
                moderation.take_back(entry.decision_id, UNDO, actor_id=by.id, now=now, note="the stop was lifted")
    return lifted


def told_to(creator_id: str, *, now: datetime) -> list[dict[str, Any]]:
    """Stops of tags and sounds that take contents of somebody out of feeds, or did within the last six months."""
    found = []
    for stop in stops.of_contents_by(creator_id, since=now - timedelta(days=APPEAL_DAYS)):
        decision_id = uuid5(_NAMESPACE, f"stop {stop.pk}")
        told = statement(
            puid=f"{decision_id}-{stop.pk}", kind=STOP, policy="other", subject_kind=stop.kind,
            decided_at=stop.started_at, expires_at=stop.lifted_at, countries=(), after_report=False, appealable=False,
        )  # fmt: skip
        found.append({
            "decision_id": decision_id, "subject_kind": stop.kind, "subject_id": stop.value,
            "decided_at": stop.started_at, "state": "in_force" if stop.lifted_at is None else "taken_back",
            "appeal": "none", "appealable_until": stop.started_at, "statements": [told],
        })  # fmt: skip
    return found


def _subject_of(stop: Stop) -> Subject | None:
    """Whom a stop is about; None for tags, sounds, and contents that nobody has registered."""
    if stop.kind == "creator":
        return Subject("user", stop.value, stop.value)
    card = queries.content_cards([stop.value]).get(stop.value) if stop.kind == "content" else None
    return Subject("content", stop.value, card.creator_id) if card else None


def _entries(stop: Stop, subject: Subject) -> list[ModerationAction]:
    about = ModerationAction.objects.filter(subject_kind=subject.kind, subject_id=subject.id, kind=STOP)
    return list(about.filter(data__stop=stop.pk))
