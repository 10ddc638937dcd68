"""What authors learn of decisions about them, and how they object. Nothing here says who decided or who reported."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Min

from dashboards import moderation, moderation_log
from dashboards.casework.log import APPEAL, EXPIRE, OVERTURN, REPORT, RESTRICTIONS, REVERSALS, STOP, UPHOLD
from dashboards.casework.statement import APPEAL_DAYS, statement
from dashboards.moderation import Moderator
from dashboards.moderation_log import Subject
from dashboards.moderation_models import Appeal, ModerationAction, ModerationCase
from events.errors import Conflict, Forbidden, InvalidRequest, NotFound

MAX_TEXT_CHARS: Final = 4_000
MOST_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class AuthorDecision:
    """One decision as its author sees it.

    `state` is in_force, taken_back or expired; `appeal` is none, waiting, upheld or overturned; there is one statement
    per restriction.
    """

    decision_id: UUID
    subject_kind: str
    subject_id: str
    decided_at: datetime
    state: str
    appeal: str
    appealable_until: datetime
    statements: tuple[dict[str, Any], ...]


def decisions_of(author_id: str) -> list[AuthorDecision]:
    """The newest decisions that restrict somebody, newest first. Served by the index moderation_action_author."""
    rows = ModerationAction.objects.filter(author_id=author_id, kind__in=RESTRICTIONS).order_by("-id")[:MOST_SHOWN]
    by_decision: dict[UUID, list[ModerationAction]] = {}
    for row in rows:
        assert row.decision_id is not None  # a constraint of the table
        by_decision.setdefault(row.decision_id, []).append(row)
    after: dict[UUID | None, list[ModerationAction]] = {}
    later = ModerationAction.objects.filter(decision_id__in=list(by_decision))
    for row in later.filter(kind__in=(*REVERSALS, APPEAL, UPHOLD)).order_by("id"):
        after.setdefault(row.decision_id, []).append(row)
    reported = _reported_before(list(rows))
    return [
        _as_seen(decision_id, sorted(entries, key=lambda row: row.pk), after.get(decision_id, []), reported)
        for decision_id, entries in by_decision.items()
    ]


def appeal(decision_id: UUID, *, author_id: str, text: str, now: datetime) -> Appeal:
    """Object to a decision; it goes to somebody else. The same words again change nothing.

    Raises
    ------
    NotFound : there is no such decision about this author
    InvalidRequest : the text is empty or too long
    Conflict : it was appealed before, is over, or too long ago
    """
    if not 1 <= len(text.strip()) <= MAX_TEXT_CHARS:
        raise InvalidRequest(
            f"text must have 1 to {MAX_TEXT_CHARS} characters; it has {len(text.strip())}", field="text"
        )
    made = ModerationAction.objects.filter(decision_id=decision_id, author_id=author_id, kind__in=RESTRICTIONS).first()
    if made is None:
        raise NotFound(f"there is no decision {decision_id} about you", decision_id=str(decision_id))
    subject = Subject(made.subject_kind, made.subject_id, made.author_id)
    with moderation_log.changing(subject):
        known = Appeal.objects.filter(decision_id=decision_id).first()
        if known is not None:
            if known.text == text:
                return known
            raise Conflict("this decision was appealed before", code="already_appealed")
        if now > made.at + timedelta(days=APPEAL_DAYS):
            raise Conflict(f"a decision can be appealed for {APPEAL_DAYS} days", code="too_late")
        if not moderation_log.in_force(decision_id):
            raise Conflict("this decision is no longer in force", code="not_in_force")
        moderation_log.append(subject, APPEAL, at=now, decision_id=decision_id, policy=made.policy)
        made_appeal = Appeal.objects.create(decision_id=decision_id, author_id=author_id, text=text, appealed_at=now)
        moderation_log.derive(subject)
    return made_appeal


def answer(decision_id: UUID, moderator: Moderator, *, upheld: bool, now: datetime, note: str = "") -> ModerationCase:
    """Judge an appeal: uphold the decision, or overturn it, which restores everything it changed.

    Raises
    ------
    NotFound : no appeal against this decision waits
    Forbidden : it is the moderator's own decision
    Conflict : somebody else holds the case
    """
    made = ModerationAction.objects.filter(decision_id=decision_id, kind=APPEAL).first()
    if made is None:
        raise NotFound(f"no appeal against {decision_id} waits", decision_id=str(decision_id))
    subject = Subject(made.subject_kind, made.subject_id, made.author_id)
    with moderation_log.changing(subject):
        standing = moderation_log.standing_of(subject)
        if str(decision_id) not in standing.appealed:
            raise Conflict("this appeal was answered already", code="already_answered")
        deciders = ModerationAction.objects.filter(decision_id=decision_id, kind__in=RESTRICTIONS)
        if moderator.id in set(deciders.values_list("actor_id", flat=True)):
            raise Forbidden("an appeal is judged by somebody else than who decided", code="own_decision")
        if not moderator.lead and deciders.filter(kind=STOP).exists():
            raise Forbidden("an appeal against an emergency stop is judged by a lead", code="lead_required")
        case = ModerationCase.objects.get(subject_kind=subject.kind, subject_id=subject.id)
        moderation.claim(case.case_id, moderator, now=now)
        if not upheld:
            return moderation.take_back(decision_id, OVERTURN, actor_id=moderator.id, now=now, note=note)
        moderation_log.append(
            subject, UPHOLD, at=now, actor_id=moderator.id, decision_id=decision_id, note=note, policy=made.policy
        )
        case = moderation_log.derive(subject)
        moderation.release(case.case_id, moderator)
    return case


def _as_seen(
    decision_id: UUID, entries: list[ModerationAction], later: list[ModerationAction], reported: set[int]
) -> AuthorDecision:
    """A decision as its author sees it, from its entries and from those that answer them."""
    first, ends = entries[0], {row.about: row.kind for row in later if row.about is not None}
    how = [ends.get(entry.pk, "") for entry in entries]
    state = "in_force" if "" in how else "expired" if set(how) == {EXPIRE} else "taken_back"
    kinds = {row.kind for row in later}
    appealed = APPEAL in kinds
    answered = "overturned" if OVERTURN in kinds else "upheld" if UPHOLD in kinds else "waiting"
    return AuthorDecision(
        decision_id=decision_id,
        subject_kind=first.subject_kind,
        subject_id=first.subject_id,
        decided_at=first.at,
        state=state,
        appeal=("closed" if answered == "waiting" and state != "in_force" else answered) if appealed else "none",
        appealable_until=first.at + timedelta(days=APPEAL_DAYS),
        statements=tuple(
            statement(
                puid=f"{decision_id}-{entry.pk}",
                kind=entry.kind,
                policy=entry.policy,
                subject_kind=entry.subject_kind,
                decided_at=entry.at,
                expires_at=entry.expires_at,
                countries=tuple(entry.data.get("countries", ())),
                after_report=entry.pk in reported,
            )
            for entry in entries
        ),
    )


def _reported_before(rows: list[ModerationAction]) -> set[int]:
    """Keys of the entries that follow a report of the same subject."""
    reports = ModerationAction.objects.filter(kind=REPORT, subject_id__in={row.subject_id for row in rows}).order_by()
    first = {
        (kind, subject_id): entry
        for kind, subject_id, entry in reports.values_list("subject_kind", "subject_id").annotate(first=Min("id"))
    }
    return {row.pk for row in rows if first.get((row.subject_kind, row.subject_id), row.pk) < row.pk}
