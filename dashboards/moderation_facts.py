"""What a moderator needs to know of one case: the subject, its reports, its author, earlier decisions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Avg, Count, Q, QuerySet

from dashboards import moderation_context, moderation_log
from dashboards.casework.log import DECISIONS, LOGGED, REPORT, REVERSALS
from dashboards.casework.policies import POLICIES
from dashboards.moderation import Moderator
from dashboards.moderation_models import Appeal, ModerationAction, ModerationCase, Report
from events import queries
from features.content_stats import content_stats
from features.shown_media import elsewhere, shown_url

VIEWS: Final = ("open", "escalated", "appeals", "hidden", "flagged", "late", "mine", "closed")
LATE_AFTER: Final = timedelta(hours=24)
MOST_ENTRIES: Final = 30
MOST_CONTENTS: Final = 6
MOST_DETAILS: Final = 5
WITHHELD: Final = "child_safety"


def summary(case: ModerationCase, *, now: datetime) -> dict[str, Any]:
    """One line of the queue."""
    claimed = case.claim_expires_at is not None and case.claim_expires_at > now
    return {
        "case_id": case.case_id,
        "version": case.version,
        "subject": {"kind": case.subject_kind, "id": case.subject_id, "author_id": case.author_id},
        "status": case.status,
        "shown_status": case.shown_status,
        "hidden_by_system": case.held,
        "age_restricted": case.age_restricted,
        "blocked_countries": case.blocked_countries,
        "feed_eligible": case.feed_eligible,
        "reports": case.reports,
        "flags": case.flags,
        "reasons": case.reasons,
        "appeals": case.appeals,
        "priority": case.priority,
        "priority_parts": case.priority_parts,
        "opened_at": case.opened_at,
        "claimed": claimed,
        "claim_expires_at": case.claim_expires_at if claimed else None,
    }


def facts(case: ModerationCase, moderator: Moderator, *, now: datetime) -> dict[str, Any]:
    """Everything about one case. Reporters have no names here, and colleagues only for a lead."""
    content_id = _content_of(case)
    return {
        **summary(case, now=now),
        "content": _content(content_id, case, now=now) if content_id else None,
        "screening": moderation_context.screening_of(content_id),
        "similar": moderation_context.similar_to(content_id),
        "text": _text(case),
        "reported": _reported(case),
        "author": _author(case.author_id, now=now),
        "appeal": _appeal(case),
        "log": _log(case, moderator),
    }


def _content_of(case: ModerationCase) -> str:
    """The content that a case is about or on which its comment was made; "" for a user."""
    if case.subject_kind == "comment":
        comment = queries.comment(UUID(case.subject_id))
        return comment.content_id if comment else ""
    return case.subject_id if case.subject_kind == "content" else ""


def _text(case: ModerationCase) -> str:
    """The words of a comment."""
    comment = queries.comment(UUID(case.subject_id)) if case.subject_kind == "comment" else None
    return comment.text if comment else ""


def _content(content_id: str, case: ModerationCase, *, now: datetime) -> Mapping[str, Any] | None:
    card = queries.content_cards([content_id]).get(content_id)
    if card is None:
        return None
    figures = content_stats(content_id, now=now).total
    # What a list names as abuse of children is shown to nobody; it is reported, not judged by eye.
    withheld = WITHHELD in case.flags
    return {
        "content_id": card.content_id,
        "caption": card.caption,
        "tags": list(card.tags),
        "sound_id": _sound(content_id),
        "category": card.category,
        "language": card.language,
        "duration_s": card.duration_s,
        # Whatever else stands there must not end up in a src attribute.
        "media_url": "" if withheld else shown_url(card.media_url),
        "thumbnail_url": "" if withheld else shown_url(card.thumbnail_url),
        "media_withheld": withheld,
        "media_elsewhere": elsewhere(card.media_url) or elsewhere(card.thumbnail_url),
        "reach": {"impressions": figures.impressions, "views": figures.views, "hides": figures.hides},
    }


def _sound(content_id: str) -> str:
    """What a host app calls the sound of a content, where it tells."""
    metadata = (queries.content(content_id) or {}).get("metadata")
    sound = metadata.get("sound_id") if isinstance(metadata, dict) else None
    return sound if isinstance(sound, str) else ""


def _reported(case: ModerationCase) -> list[dict[str, Any]]:
    """Reports by reason, the gravest first: how many, how far to be trusted, and some of what people wrote."""
    about = Report.objects.filter(subject_kind=case.subject_kind, subject_id=case.subject_id)
    groups = about.order_by().values("reason").annotate(reports=Count("pk"), trust=Avg("weight"))
    return [
        {
            "reason": group["reason"],
            "title": POLICIES[group["reason"]].title,
            "severity": POLICIES[group["reason"]].severity,
            "reports": group["reports"],
            "mean_weight": round(group["trust"], 3),
            "details": list(
                about.filter(reason=group["reason"]).exclude(details="").order_by("-reported_at")
                .values_list("details", flat=True)[:MOST_DETAILS]
            ),
        }
        for group in sorted(groups, key=lambda group: (-POLICIES[group["reason"]].severity, -group["reports"]))
    ]  # fmt: skip


def _author(author_id: str, *, now: datetime) -> dict[str, Any] | None:
    if not author_id:
        return None
    standing = moderation_log.author_standing(author_id, now=now)
    profile = queries.profile(author_id)
    return {
        "author_id": author_id,
        "since": profile["created_at"] if profile else None,
        "warnings": standing.warnings,
        "strikes": standing.strikes,
        "suspended": standing.suspended,
        "suspended_until": standing.until,
        "cases": ModerationCase.objects.filter(author_id=author_id).count(),
        "contents": [
            {
                "content_id": card.content_id,
                "caption": card.caption,
                "status": card.status,
                "thumbnail_url": shown_url(card.thumbnail_url),
            }
            for card in queries.contents_of(author_id, limit=MOST_CONTENTS)
        ],
    }


def _appeal(case: ModerationCase) -> dict[str, Any] | None:
    """The oldest appeal that waits."""
    if not case.appeals:
        return None
    subject = moderation_log.Subject(case.subject_kind, case.subject_id, case.author_id)
    waiting = moderation_log.standing_of(subject).appealed
    appeal = Appeal.objects.filter(decision_id__in=list(waiting)).order_by("appealed_at").first()
    if appeal is None:
        return None
    return {"decision_id": appeal.decision_id, "text": appeal.text, "appealed_at": appeal.appealed_at}


def _log(case: ModerationCase, moderator: Moderator) -> list[dict[str, Any]]:
    """The newest entries but the reports, newest first."""
    rows = ModerationAction.objects.filter(subject_kind=case.subject_kind, subject_id=case.subject_id)
    newest = list(rows.exclude(kind=REPORT).order_by("-id")[:MOST_ENTRIES])
    taken_back = {row.about: row.kind for row in newest if row.kind in REVERSALS}
    return [
        {
            "kind": row.kind,
            "title": DECISIONS[row.kind].title if row.kind in DECISIONS else row.kind.replace("_", " ").capitalize(),
            "decision_id": row.decision_id,
            "at": row.at,
            "policy": row.policy,
            "note": row.note,
            "expires_at": row.expires_at,
            "ended": taken_back.get(row.pk),
            "by": "you" if row.actor_id == moderator.id else _colleague(row.actor_id, moderator),
            "can_undo": row.kind in LOGGED and row.pk not in taken_back
            and (row.actor_id == moderator.id or moderator.lead),
        }
        for row in newest
    ]  # fmt: skip


def _colleague(actor_id: int | None, moderator: Moderator) -> str:
    """Who it was: the system, a moderator, and for a lead also which."""
    if actor_id is None:
        return "system"
    return f"staff {actor_id}" if moderator.lead else "a moderator"


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What cases of a view are listed: about one kind of subject, for one policy, of one author, at least so urgent."""

    kind: str = ""
    policy: str = ""
    author_id: str = ""
    least_priority: int = 0

    def of(self, rows: QuerySet[ModerationCase]) -> QuerySet[ModerationCase]:
        """Those of some cases."""
        rows = rows.filter(priority__gte=self.least_priority) if self.least_priority else rows
        rows = rows.filter(subject_kind=self.kind) if self.kind else rows
        rows = rows.filter(author_id=self.author_id) if self.author_id else rows
        named = Q(reasons__has_key=self.policy) | Q(flags__has_key=self.policy)
        return rows.filter(named) if self.policy else rows


def waiting(
    moderator: Moderator, *, view: str, now: datetime, limit: int, narrowed: Narrowed | None = None
) -> list[ModerationCase]:
    """The cases of one view of the queue, the most urgent first."""
    rows = ModerationCase.objects.order_by("-priority", "opened_at", "case_id")
    views: dict[str, Any] = {
        "open": rows.filter(status=ModerationCase.Status.OPEN),
        "escalated": rows.filter(status=ModerationCase.Status.ESCALATED),
        "appeals": rows.filter(appeals__gt=0),
        "hidden": rows.filter(held=True),
        "flagged": rows.exclude(flags={}),
        "late": rows.exclude(status=ModerationCase.Status.CLOSED).filter(opened_at__lt=now - LATE_AFTER),
        "mine": rows.filter(claimed_by=moderator.id, claim_expires_at__gt=now),
        "closed": ModerationCase.objects.filter(status=ModerationCase.Status.CLOSED).order_by("-settled_at", "case_id"),
    }
    return list((narrowed or Narrowed()).of(views[view])[:limit])
