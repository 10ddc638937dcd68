"""Reports: taken in from the API and from the log, weighed, and, where enough agree, the content hidden at once.

report --> one per person and subject --> case --> enough weight from enough people? auto_hide, until a human looks
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4, uuid5

from django.conf import settings
from django.db.models import Sum

from dashboards import moderation_log
from dashboards.casework.log import AGREED, AUTO_HIDE, DISAGREED, REPORT
from dashboards.casework.policies import POLICIES, policy_of
from dashboards.casework.trust import MOST_REMEMBERED, reporter_weight
from dashboards.moderation_log import Subject
from dashboards.moderation_models import ModerationAction, ModerationCase, Report
from events import queries, windows
from events.cleaning.rules import Sending
from events.cleaning.schema import show
from events.errors import InvalidRequest, NotFound
from events.ingestion import ingest
from features.content_stats import content_stats

LEAST_REPORTERS: Final = 3
NETWORK_MOST: Final = 1.0
"""Reports of one subject from one network weigh together what one person weighs who is always right."""
THRESHOLDS: Final = {"off": float("inf"), "low": 6.0, "medium": 3.0, "high": 1.5}
"""Sum of the reporters' weights that hides a content, by `settings.AUTO_HIDE`."""
HIDDEN_FOR: Final = timedelta(hours=48)
"""What nobody has looked at by then is shown again: a crowd must not decide for good."""
NEWCOMER_FOR: Final = timedelta(days=7)
FAMILY: Final = "moderation reports"
MAX_DETAILS_CHARS: Final = 2_000
_NAMESPACE: Final = UUID("0c9d1b52-6f0e-4c38-8b7a-5d3e2f1a9c44")
"""Arbitrary and fixed: ids of another purpose never meet those made here."""


@dataclass(frozen=True, slots=True)
class ReportReceipt:
    """What became of a report: `new` is False where the person had reported the subject before."""

    report_id: UUID
    case_id: int
    new: bool
    hidden: bool


def subject_of(kind: str, subject_id: str) -> Subject:
    """A content, comment or user that exists, with its author.

    Raises
    ------
    NotFound : there is no such thing
    """
    author: str | None = None
    if kind == "content":
        card = queries.content_cards([subject_id]).get(subject_id)
        author = card.creator_id if card else None
    elif kind == "comment":
        comment = queries.comment(UUID(subject_id)) if _is_uuid(subject_id) else None
        author = comment.author_id if comment else None
    elif queries.user_known(subject_id):
        author = subject_id
    if author is None:
        raise NotFound(f"there is no {kind} with the id {show(subject_id)}", kind=kind, id=subject_id)
    return Subject(kind, str(UUID(subject_id)) if kind == "comment" else subject_id, author)


def report(
    subject: Subject, *, reporter_id: str, reason: str, now: datetime, details: str = "", network: str = ""
) -> ReportReceipt:
    """Take in what one person says about a subject. Saying it again adds nothing, but for details that were missing.

    `network` names where it came from (`report_networks`): one crowd behind one network is no crowd.

    Raises
    ------
    InvalidRequest : the reason is none of the policies, or somebody reports themselves
    """
    if reason not in POLICIES:
        raise InvalidRequest(f"reason must be one of {', '.join(POLICIES)}; got {show(reason)}", code="unknown_reason")
    if subject.author_id == reporter_id:
        raise InvalidRequest("nobody can report themselves", code="own_subject", id=subject.id)
    with moderation_log.changing(subject):
        known = Report.objects.filter(subject_kind=subject.kind, subject_id=subject.id, reporter_id=reporter_id).first()
        if known is not None:
            if details and not known.details:
                known.details = details
                known.save(update_fields=["details"])
            case = ModerationCase.objects.get(subject_kind=subject.kind, subject_id=subject.id)
            return ReportReceipt(known.report_id, case.case_id, new=False, hidden=case.held)
        filed = _file(subject, reporter_id, reason, details, network, now=now)
        case = moderation_log.derive(subject)
        if _is_enough(case):
            moderation_log.append(
                subject, AUTO_HIDE, at=now, decision_id=uuid4(), policy=_commonest(case), expires_at=now + HIDDEN_FOR,
                data={"weight": case.report_weight, "reports": case.reports},
            )  # fmt: skip
            case = moderation_log.derive(subject)
    return ReportReceipt(filed.report_id, case.case_id, new=True, hidden=case.held)


def tell_feed(subject: Subject, *, reporter_id: str, reason: str, now: datetime, anonymous: bool) -> None:
    """Write a report of a content into the event log as well: whoever reported it never meets it again.

    The id is made of the two, so a report that is sent again makes no second event, and `take_reports` finds it known.

    Raises
    ------
    InvalidRequest : the log refuses such an event, with the log's own code
    """
    event = {
        "event_id": str(uuid5(_NAMESPACE, f"{reporter_id}\n{subject.id}")),
        "event_type": "report",
        "user_id": reporter_id,
        "content_id": subject.id,
        "reason": reason,
        "timestamp": now.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }
    sending = Sending(anonymous=anonymous, internal=settings.INTERNAL_USERS)
    for rejection in ingest([event], now=now, source="api", sending=sending, keep_rejected=False).rejected:
        raise InvalidRequest(rejection.detail, code=rejection.code)


def take_reports(*, until: datetime) -> int:
    """Make reports of the report events that came into the log since the last call; returns how many were new.

    Works hour by hour as every reader of the log does, so a late event is found as well (see `events.windows`).
    """
    new = 0

    def work(hours: Any) -> None:
        nonlocal new
        for hour in hours:
            for reporter_id, content_id, reason, at in queries.reports_between(hour.start, hour.end):
                new += _from_log(reporter_id, content_id, reason, at)

    for hour in windows.open_windows(FAMILY, until=until):
        windows.work_off(FAMILY, [hour], work, now=until)
    return new


def weigh_reporter(reporter_id: str, *, now: datetime) -> float:
    """How much a report of somebody counts, by the last settled ones. Served by the index report_by_reporter."""
    settled = Report.objects.filter(reporter_id=reporter_id, outcome__in=(AGREED, DISAGREED)).order_by("-reported_at")
    outcomes = list(settled.values_list("outcome", flat=True)[:MOST_REMEMBERED])
    profile = queries.profile(reporter_id)
    newcomer = profile is None or profile["created_at"] > now - NEWCOMER_FOR
    return reporter_weight(outcomes.count(AGREED), outcomes.count(DISAGREED), newcomer=newcomer)


def _file(subject: Subject, reporter_id: str, reason: str, details: str, network: str, *, now: datetime) -> Report:
    """The report and its entry in the log, which keeps what the priority needs and not who it was."""
    weight = min(weigh_reporter(reporter_id, now=now), _room(subject, network))
    strikes = moderation_log.author_standing(subject.author_id, now=now).strikes
    data: dict[str, Any] = {"reason": reason, "weight": weight, "strikes": strikes}
    count = Report.objects.filter(subject_kind=subject.kind, subject_id=subject.id).count()
    # Reach is read from every hour of the log, so not for each of a thousand reports: at the 1st, 2nd, 4th, 8th, ...
    if subject.kind == "content" and (count + 1) & count == 0:
        data["viewers"] = content_stats(subject.id, now=now).total.impressions
    entry = moderation_log.append(subject, REPORT, at=now, policy=reason, data=data)
    return Report.objects.create(
        subject_kind=subject.kind, subject_id=subject.id, reporter_id=reporter_id, reason=reason,
        details=details[:MAX_DETAILS_CHARS], weight=weight, network=network, entry_id=entry.pk, reported_at=now,
    )  # fmt: skip


def _room(subject: Subject, network: str) -> float:
    """What a further report from a network may weigh."""
    if not network:
        return NETWORK_MOST
    before = Report.objects.filter(subject_kind=subject.kind, subject_id=subject.id, network=network)
    return max(NETWORK_MOST - float(before.aggregate(weight=Sum("weight"))["weight"] or 0.0), 0.0)


def _is_enough(case: ModerationCase) -> bool:
    """Whether the crowd may hide it: once per question, only what is shown, and never a whole account."""
    if case.subject_kind == "user" or case.shown_status != "active" or case.reports < LEAST_REPORTERS:
        return False
    if case.report_weight < THRESHOLDS[settings.AUTO_HIDE] or case.author_id in settings.AUTO_HIDE_NEVER:
        return False
    since = ModerationAction.objects.filter(subject_kind=case.subject_kind, subject_id=case.subject_id)
    return not since.filter(kind=AUTO_HIDE, pk__gt=case.settled).exists()


def _commonest(case: ModerationCase) -> str:
    """The reason most people gave; of several the gravest."""
    reasons: dict[str, int] = case.reasons
    return max(reasons, key=lambda reason: (reasons[reason], POLICIES[reason].severity, reason))


def _from_log(reporter_id: str, content_id: str, reason: str, at: datetime) -> bool:
    try:
        subject = subject_of("content", content_id)
        receipt = report(subject, reporter_id=reporter_id, reason=policy_of(reason), now=at, details=reason)
    except (NotFound, InvalidRequest):
        # Somebody reported what the catalogue does not know, or themselves; the event stays in the log.
        return False
    return receipt.new


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
