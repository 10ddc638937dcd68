"""Contents, people and moderators for the tests of moderation."""

from datetime import UTC, datetime, timedelta
from typing import Any

from dashboards import moderation, moderation_reports
from dashboards.moderation import Decision, Moderator
from dashboards.moderation_models import ModerationCase
from events.catalogue import NewContent, NewProfile, register_content, update_profile
from events.models import UserProfile

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
ANN, BOB, LEAD = Moderator(1), Moderator(2), Moderator(3, lead=True)


def clip(content_id: str = "c1", creator_id: str = "creator", **facts: Any) -> str:
    """A content of the catalogue, and its id."""
    metadata = {"caption": f"clip {content_id}", "category": "ocean"}
    register_content(NewContent(content_id, creator_id, NOW - timedelta(days=2), metadata, **facts))
    return content_id


def known_since(user_id: str, days: int) -> None:
    """A user whose profile is so many days old."""
    update_profile(NewProfile(user_id))
    UserProfile.objects.filter(user_id=user_id).update(created_at=NOW - timedelta(days=days))


def report(
    subject_id: str = "c1", reporter: str = "r1", reason: str = "spam", *, kind: str = "content", now: datetime = NOW
) -> moderation_reports.ReportReceipt:
    """Somebody reports a subject."""
    subject = moderation_reports.subject_of(kind, subject_id)
    return moderation_reports.report(subject, reporter_id=reporter, reason=reason, now=now)


def case_of(subject_id: str = "c1", kind: str = "content") -> ModerationCase:
    """The case about a subject."""
    return ModerationCase.objects.get(subject_kind=kind, subject_id=subject_id)


def decide(case: ModerationCase, *kinds: str, by: Moderator = ANN, now: datetime = NOW, **facts: Any) -> Any:
    """Decide the case as it is, for spam unless told otherwise; returns the id of the decision."""
    facts.setdefault("policy", "" if kinds[0] in {"approve", "restore", "escalate"} else "spam")
    case.refresh_from_db()
    return moderation.decide(case.case_id, Decision(kinds, **facts), by, version=case.version, now=now).decision_id
