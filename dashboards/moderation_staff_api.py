"""HTTP doors of the moderation queue, for staff who are logged in: next, claim, decide, undo, bulk, appeals.

They know the session of the admin and its CSRF token, not the keys of apps. Each names the permission it needs.
"""

from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from dashboards import moderation, moderation_appeals, moderation_facts
from dashboards.casework.log import SUBJECTS
from dashboards.casework.policies import CODES
from dashboards.moderation import Decision, Moderator
from dashboards.moderation_facts import Narrowed
from dashboards.moderation_models import ModerationCase
from dashboards.moderation_serializers import (
    AnswerBody,
    BulkAnswer,
    BulkBody,
    CaseAnswer,
    DecideBody,
    DecidedAnswer,
    FactsAnswer,
    NextBody,
    NoteBody,
    QueueAnswer,
)
from events.authentication import valid_id
from events.bodies import JsonBody
from events.errors import Forbidden, NotFound
from events.serializers import ErrorAnswer
from events.views import BODY_REFUSALS, REFUSALS, BodyView
from ranking.query_params import one_of, only, whole_number

DECIDE: Final = "dashboards.decide_moderationcase"
LEAD: Final = "dashboards.lead_moderationcase"
MOST_LISTED: Final = 100
_WRITES: Final = {**BODY_REFUSALS, 404: ErrorAnswer, 409: ErrorAnswer}
DECIDE_BODY: Final = OpenApiExample(
    "Remove it and give a strike",
    value={"kinds": ["remove", "strike"], "policy": "spam", "note": "third time", "version": 0},
    request_only=True,
)
BULK_BODY: Final = OpenApiExample(
    "Remove two clips",
    value={
        "kinds": ["remove"],
        "policy": "spam",
        "cases": [{"case_id": 4, "version": 0}, {"case_id": 9, "version": 7}],
    },
    request_only=True,
)
BULK_DONE: Final = OpenApiExample(
    "One was quicker",
    value={"batch": "8a5f3c2f-0c7d-4a0f-8e9a-532f7a4f1f6c", "results": {"4": "", "9": "claimed_by_other"}},
    response_only=True,
    status_codes=["200"],
)
STALE: Final = OpenApiExample(
    "It changed meanwhile",
    value={
        "error": {
            "code": "stale_case", "message": "the case has changed: you saw version 0, it is at 17",
            "details": {"version": 17},
        }
    },
    response_only=True,
    status_codes=["409"],
)  # fmt: skip


class StaffPermission(BasePermission):
    """Staff with one permission; `require_staff` names it."""

    permission = ""

    def has_permission(self, request: Request, view: Any) -> bool:
        del view
        user = request.user
        if user is None or not user.is_authenticated:
            raise exceptions.NotAuthenticated("log in to the admin first")
        if not (user.is_active and user.is_staff and user.has_perm(self.permission)):
            raise Forbidden(f"this needs the permission {self.permission}", code="missing_permission")
        return True


def require_staff(permission: str) -> type[StaffPermission]:
    """The permission class of a view that needs one permission of the admin."""
    return type("Staff", (StaffPermission,), {"permission": permission})


def moderator_of(request: Request | HttpRequest) -> Moderator:
    """Who acts, once the permission was checked."""
    user = request.user
    assert user.pk is not None
    return Moderator(user.pk, lead=user.has_perm(LEAD))


class StaffView(BodyView):
    """A door of the queue; its answers are nobody else's to keep."""

    parser_classes = (JsonBody,)
    authentication_classes = (SessionAuthentication,)
    permission_classes = (require_staff(DECIDE),)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["Cache-Control"] = "no-store"
        return answer


class CasesView(StaffView):
    """The queue."""

    @extend_schema(
        operation_id="list_moderation_cases",
        summary="List cases",
        parameters=[
            OpenApiParameter("view", str, enum=list(moderation_facts.VIEWS), default="open"),
            OpenApiParameter("kind", str, enum=list(SUBJECTS), description="About what."),
            OpenApiParameter("policy", str, enum=list(CODES), description="Reported or flagged for it."),
            OpenApiParameter("author_id", str, description="Of one author."),
            OpenApiParameter("least_priority", int, description="1 to 100."),
            OpenApiParameter("count", int, default=50, description=f"1 to {MOST_LISTED}."),
        ],
        responses={200: QueueAnswer, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        params = request.query_params
        only(params, ("view", "count", "kind", "policy", "author_id", "least_priority"))
        view = one_of(params, "view", moderation_facts.VIEWS, default="open")
        limit, now = whole_number(params, "count", default=50, most=MOST_LISTED), timezone.now()
        narrowed = Narrowed(
            kind=one_of(params, "kind", ("", *SUBJECTS), default=""),
            policy=one_of(params, "policy", ("", *CODES), default=""),
            author_id=valid_id(params["author_id"], field="author_id") if params.get("author_id") else "",
            least_priority=whole_number(params, "least_priority", default=0, most=100),
        )
        cases = moderation_facts.waiting(moderator_of(request), view=view, now=now, limit=limit, narrowed=narrowed)
        items = [moderation_facts.summary(case, now=now) for case in cases]
        return Response(QueueAnswer({"view": view, "items": items}).data)


class NextCaseView(StaffView):
    """The case to look at next."""

    @extend_schema(
        summary="Claim the most urgent case",
        description="Nobody else gets it for five minutes. Asking again gives the same case, until it is decided, "
        "released or skipped. 204 when nothing waits.",
        request=NextBody,
        responses={200: FactsAnswer, 204: None, **_WRITES},
    )
    def post(self, request: Request) -> Response:
        body = NextBody(data=request.data)
        body.is_valid(raise_exception=True)
        moderator, now = moderator_of(request), timezone.now()
        case = moderation.claim_next(moderator, now=now, skip=body.validated_data["skip"])
        return Response(status=204) if case is None else _facts(case, moderator)


class CaseView(StaffView):
    """One case."""

    @extend_schema(summary="Read a case", responses={200: FactsAnswer, **REFUSALS, 404: ErrorAnswer})
    def get(self, request: Request, case_id: int) -> Response:
        only(request.query_params, ())
        case = ModerationCase.objects.filter(case_id=case_id).first()
        if case is None:
            raise NotFound(f"there is no case {case_id}", case_id=case_id)
        return _facts(case, moderator_of(request))


class ClaimView(StaffView):
    """Who is at a case."""

    @extend_schema(summary="Claim a case, or renew the claim", request=None, responses={200: FactsAnswer, **_WRITES})
    def put(self, request: Request, case_id: int) -> Response:
        moderator = moderator_of(request)
        return _facts(moderation.claim(case_id, moderator, now=timezone.now()), moderator)

    @extend_schema(summary="Give a case back", request=None, responses={204: None, **REFUSALS, 404: ErrorAnswer})
    def delete(self, request: Request, case_id: int) -> Response:
        moderation.release(case_id, moderator_of(request))
        return Response(status=204)


class DecideView(StaffView):
    """A decision on one case."""

    @extend_schema(
        summary="Decide a case",
        description="On the `version` that was seen: 409 `stale_case` where the case has changed since, and "
        "`claimed_by_other` where a colleague is at it. The very next feed obeys.",
        request=DecideBody,
        responses={201: DecidedAnswer, **_WRITES},
        examples=[DECIDE_BODY, STALE],
    )
    def post(self, request: Request, case_id: int) -> Response:
        body = DecideBody(data=request.data)
        body.is_valid(raise_exception=True)
        now = timezone.now()
        made = moderation.decide(
            case_id, _decision(body.validated_data), moderator_of(request), version=body.validated_data["version"],
            now=now,
        )  # fmt: skip
        case = moderation_facts.summary(made.case, now=now)
        return Response(DecidedAnswer({"decision_id": made.decision_id, "case": case}).data, status=201)


class UndoView(StaffView):
    """Taking a decision back."""

    @extend_schema(
        summary="Undo a decision",
        description="Everything is as it was before it, its strikes included. One's own; a lead any.",
        request=NoteBody,
        responses={200: CaseAnswer, **_WRITES},
    )
    def post(self, request: Request, decision_id: UUID) -> Response:
        body = NoteBody(data=request.data)
        body.is_valid(raise_exception=True)
        now = timezone.now()
        case = moderation.undo(decision_id, moderator_of(request), now=now, note=body.validated_data["note"])
        return Response(CaseAnswer(moderation_facts.summary(case, now=now)).data)


class AnswerView(StaffView):
    """The judgement of an appeal."""

    @extend_schema(
        summary="Judge an appeal",
        description="Not one's own decision. `upheld: false` takes back everything the decision did.",
        request=AnswerBody,
        responses={200: CaseAnswer, **_WRITES},
    )
    def post(self, request: Request, decision_id: UUID) -> Response:
        body = AnswerBody(data=request.data)
        body.is_valid(raise_exception=True)
        now, told = timezone.now(), body.validated_data
        case = moderation_appeals.answer(
            decision_id, moderator_of(request), upheld=told["upheld"], now=now, note=told["note"]
        )
        return Response(CaseAnswer(moderation_facts.summary(case, now=now)).data)


class BulkView(StaffView):
    """One decision on many cases."""

    permission_classes = (require_staff(LEAD),)

    @extend_schema(
        summary="Decide many cases alike",
        description="Each by itself, with its own entry in the log and statement of reasons; a refusal of one stops no "
        "other. A long action may come in several requests: with the `batch` of the first answer they are one, and one "
        "undo takes all of it back. For leads.",
        request=BulkBody,
        responses={200: BulkAnswer, **_WRITES},
        examples=[BULK_BODY, BULK_DONE],
    )
    def post(self, request: Request) -> Response:
        body = BulkBody(data=request.data)
        body.is_valid(raise_exception=True)
        told = body.validated_data
        versions = {each["case_id"]: each["version"] for each in told["cases"]}
        done = moderation.decide_many(
            versions, _decision(told), moderator_of(request), now=timezone.now(), batch=told.get("batch")
        )
        return _bulk(done)


class UndoBulkView(StaffView):
    """Taking a bulk action back."""

    permission_classes = (require_staff(LEAD),)

    @extend_schema(summary="Undo a bulk action", request=None, responses={200: BulkAnswer, **_WRITES})
    def post(self, request: Request, batch: UUID) -> Response:
        return _bulk(moderation.undo_many(batch, moderator_of(request), now=timezone.now()))


def _decision(told: dict[str, Any]) -> Decision:
    return Decision(
        tuple(told["kinds"]), policy=told["policy"], note=told["note"], duration_h=told["duration_h"],
        countries=tuple(told["countries"]),
    )  # fmt: skip


def _facts(case: ModerationCase, moderator: Moderator) -> Response:
    return Response(FactsAnswer(moderation_facts.facts(case, moderator, now=timezone.now())).data)


def _bulk(done: moderation.BulkReport) -> Response:
    return Response(BulkAnswer({"batch": done.batch, "results": {str(k): v for k, v in done.results.items()}}).data)
