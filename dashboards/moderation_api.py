"""HTTP doors of moderation for apps and their users: reports, appeals, and what was decided about somebody and why."""

from dataclasses import asdict
from typing import Final
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from dashboards import moderation_appeals, moderation_reports, moderation_stops
from dashboards.moderation_models import Report
from dashboards.moderation_serializers import (
    NAMED,
    AppealAnswer,
    AppealBody,
    DecisionsAnswer,
    ReportAnswer,
    ReportBody,
)
from dashboards.report_networks import network_of
from events.authentication import acting_user, address_of, credential_from, require_scope
from events.bodies import JsonBody
from events.errors import InvalidRequest, NotFound
from events.serializers import ErrorAnswer
from events.views import BODY_REFUSALS, REFUSALS, BodyView
from ranking.query_params import only

REPORT_ID: Final = "1f0a6c5e-7d0f-4f5e-9a53-2f7a4f1f6c11"
DECISION_ID: Final = "8a5f3c2f-0c7d-4a0f-8e9a-532f7a4f1f6c"
REPORT_BODY: Final = OpenApiExample(
    "Mia reports a clip", value={"content_id": "clip-17", "reason": "spam", "details": "The link is a scam."},
    request_only=True,
)  # fmt: skip
REPORTED: Final = OpenApiExample(
    "It is in the queue",
    value={
        "report_id": REPORT_ID, "subject_kind": "content", "subject_id": "clip-17", "reason": "spam",
        "reported_at": "2026-11-25T12:00:00Z", "state": "waiting",
    },
    response_only=True,
    status_codes=["200", "201"],
)  # fmt: skip
APPEAL_BODY: Final = OpenApiExample(
    "The author objects", value={"decision_id": DECISION_ID, "text": "It is satire, as its caption says."},
    request_only=True,
)  # fmt: skip
APPEALED: Final = OpenApiExample(
    "Somebody else looks at it",
    value={"appeal_id": REPORT_ID, "decision_id": DECISION_ID, "appealed_at": "2026-11-25T13:00:00Z"},
    response_only=True,
    status_codes=["201"],
)
DECIDED: Final = OpenApiExample(
    "A clip was removed",
    value={
        "user_id": "mara",
        "items": [
            {
                "decision_id": DECISION_ID, "subject_kind": "content", "subject_id": "clip-17",
                "decided_at": "2026-11-25T12:30:00Z", "state": "in_force", "appeal": "none",
                "appealable_until": "2027-05-27T12:30:00Z",
                "statements": [
                    {
                        "puid": f"{DECISION_ID}-412", "decision_visibility": "DECISION_VISIBILITY_CONTENT_REMOVED",
                        "decision_account": None, "decision_ground": "DECISION_GROUND_INCOMPATIBLE_CONTENT",
                        "policy": "spam", "explanation": "Your content was removed. It is spam or a scam.",
                        "territorial_scope": None, "application_date": "2026-11-25T12:30:00Z", "end_date": None,
                        "source_type": "SOURCE_ARTICLE_16", "automated_detection": False,
                        "automated_decision": "NOT_AUTOMATED",
                        "redress": "You can object within 183 days; somebody else decides then.",
                    }
                ],
            }
        ],
    },
    response_only=True,
    status_codes=["200"],
)  # fmt: skip


class ReportsView(BodyView):
    """Somebody says that something breaks the rules."""

    parser_classes = (JsonBody,)
    permission_classes = (require_scope("events:write"),)

    @extend_schema(
        summary="Report a content, comment or user",
        description="One report per person and subject: sending it again answers 200 and counts once. Enough reports "
        "of people who were right before hide a content until a moderator has looked; those from one network weigh "
        "together what one person weighs. Whoever reports a content "
        "never meets it again. A report event does the same, within a minute.",
        request=ReportBody,
        responses={200: ReportAnswer, 201: ReportAnswer, **BODY_REFUSALS, 404: ErrorAnswer},
        examples=[REPORT_BODY, REPORTED],
    )
    def post(self, request: Request) -> Response:
        body = ReportBody(data=request.data)
        body.is_valid(raise_exception=True)
        told = body.validated_data
        reporter = acting_user(request, told.get("reporter_id"))
        named = next(name for name in NAMED if name in told)
        subject = moderation_reports.subject_of(named.removesuffix("_id"), told[named])
        now = timezone.now()
        receipt = moderation_reports.report(
            subject, reporter_id=reporter, reason=told["reason"], details=told["details"], now=now,
            network=_network(request, told.get("reporter_address")),
        )  # fmt: skip
        if receipt.new and subject.kind == "content":
            anonymous = credential_from(request).kind == "publishable"
            moderation_reports.tell_feed(
                subject, reporter_id=reporter, reason=told["reason"], now=now, anonymous=anonymous
            )
        return Response(_told(Report.objects.get(pk=receipt.report_id)), status=201 if receipt.new else 200)


class ReportView(BodyView):
    """One report, for whoever made it."""

    permission_classes = (require_scope("users:read"),)

    @extend_schema(
        summary="Read a report",
        responses={200: ReportAnswer, **REFUSALS, 404: ErrorAnswer},
        examples=[REPORTED],
    )
    def get(self, request: Request, report_id: UUID) -> Response:
        only(request.query_params, ())
        credential = credential_from(request)
        report = Report.objects.filter(pk=report_id).first()
        # Somebody else's is not there: that it exists would tell who reported.
        if report is None or not (credential.is_server or report.reporter_id == credential.user_id):
            raise NotFound(f"there is no report {report_id}", report_id=str(report_id))
        return Response(_told(report))


class AppealsView(BodyView):
    """An author objects to a decision."""

    parser_classes = (JsonBody,)
    permission_classes = (require_scope("users:write"),)

    @extend_schema(
        summary="Appeal against a decision",
        description="Once per decision, within six months. Somebody else than who decided judges it; a decision that "
        "is overturned is taken back with all it did.",
        request=AppealBody,
        responses={201: AppealAnswer, **BODY_REFUSALS, 404: ErrorAnswer, 409: ErrorAnswer},
        examples=[APPEAL_BODY, APPEALED],
    )
    def post(self, request: Request) -> Response:
        body = AppealBody(data=request.data)
        body.is_valid(raise_exception=True)
        told = body.validated_data
        author = acting_user(request, told.get("user_id"))
        made = moderation_appeals.appeal(told["decision_id"], author_id=author, text=told["text"], now=timezone.now())
        return Response(AppealAnswer(made).data, status=201)


class DecisionsView(BodyView):
    """What was decided about one user."""

    permission_classes = (require_scope("users:read"),)

    @extend_schema(
        summary="Read the decisions about a user, with their reasons",
        description="The newest hundred that restrict the user, their contents or comments. They name neither the "
        "moderator nor who reported. Emergency stops are among them; those of a tag or a sound for whoever has "
        "contents with it.",
        responses={200: DecisionsAnswer, **REFUSALS, 404: ErrorAnswer},
        examples=[DECIDED],
    )
    def get(self, request: Request, user_id: str) -> Response:
        only(request.query_params, ())
        user_id = acting_user(request, user_id)
        items = [asdict(each) for each in moderation_appeals.decisions_of(user_id)]
        items += moderation_stops.told_to(user_id, now=timezone.now())
        items.sort(key=lambda each: each["decided_at"], reverse=True)
        return Response(DecisionsAnswer({"user_id": user_id, "items": items}).data)


def _network(request: Request, told: str | None) -> str:
    """Where a report comes from: an end user's own address; of a key, which speaks for others, what it tells."""
    if credential_from(request).is_server:
        return network_of(told or "")
    if told is not None:
        raise InvalidRequest("reporter_address is for server keys", field="reporter_address")
    return network_of(address_of(request))


def _told(report: Report) -> dict[str, object]:
    row = {name: getattr(report, name) for name in ("report_id", "subject_kind", "subject_id", "reason", "reported_at")}
    return dict(ReportAnswer({**row, "state": report.outcome or "waiting"}).data)
