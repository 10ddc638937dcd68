"""Doors and page of emergency stops, for leads: something leaves every feed at the next response, and comes back."""

from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from dashboards import moderation_stops
from dashboards.casework.policies import CODES, POLICIES
from dashboards.moderation_serializers import ProseField
from dashboards.moderation_staff_api import LEAD, StaffView, moderator_of, require_staff
from events import stops
from events.serializers import ErrorAnswer, StrictSerializer
from events.views import BODY_REFUSALS, REFUSALS
from ranking.query_params import only

MOST_LISTED: Final = 200
_WRITES: Final = {**BODY_REFUSALS, 404: ErrorAnswer, 409: ErrorAnswer}


class StopBody(StrictSerializer):
    """What is stopped, and why."""

    kind = serializers.ChoiceField(choices=stops.KINDS)
    value = ProseField(max_length=stops.MAX_VALUE_CHARS, trim_whitespace=False, help_text="An id, or a tag.")
    reason = ProseField(max_length=stops.MAX_REASON_CHARS, help_text="For staff.")
    policy = serializers.ChoiceField(
        choices=CODES, required=False, default="other", help_text="What the creator is told it breaks."
    )


class StopAnswer(serializers.Serializer[Any]):
    """One stop; it runs until `lifted_at`."""

    stop_id = serializers.IntegerField(source="pk")
    kind = serializers.CharField()
    value = serializers.CharField()
    reason = serializers.CharField()
    started_at = serializers.DateTimeField()
    lifted_at = serializers.DateTimeField(allow_null=True)


class StopsAnswer(serializers.Serializer[Any]):
    """Stops: those that run first."""

    items = StopAnswer(many=True)


class StopsView(StaffView):
    """Emergency stops."""

    permission_classes = (require_staff(LEAD),)

    @extend_schema(
        summary="List emergency stops",
        description="Those that run, and then the ones lifted last.",
        responses={200: StopsAnswer, **REFUSALS},
    )
    def get(self, request: Request) -> Response:
        only(request.query_params, ())
        return Response(StopsAnswer({"items": stops.listed(limit=MOST_LISTED)}).data)

    @extend_schema(
        summary="Stop a content, creator, tag or sound everywhere",
        description="Nothing of it is in any feed, list or page from the next response on, whatever cursor is open. "
        "The same again answers with the stop that runs. Its creator finds it among the decisions about them, and can "
        "object to a stop of a content or of all of theirs.",
        request=StopBody,
        responses={201: StopAnswer, **_WRITES},
        examples=[
            OpenApiExample(
                "A challenge that hurts people",
                value={"kind": "tag", "value": "#rooftop", "reason": "two accidents today"},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        body = StopBody(data=request.data)
        body.is_valid(raise_exception=True)
        told = body.validated_data
        made = moderation_stops.start(
            told["kind"], told["value"], policy=told["policy"], reason=told["reason"], by=moderator_of(request),
            now=timezone.now(),
        )  # fmt: skip
        return Response(StopAnswer(made).data, status=201)


class StopView(StaffView):
    """One emergency stop."""

    permission_classes = (require_staff(LEAD),)

    @extend_schema(
        summary="Lift an emergency stop",
        description="Everything is shown as before it.",
        request=None,
        responses={200: StopAnswer, **_WRITES},
    )
    def delete(self, request: Request, stop_id: int) -> Response:
        lifted = moderation_stops.lift(stop_id, by=moderator_of(request), now=timezone.now())
        return Response(StopAnswer(lifted).data)


@never_cache
@ensure_csrf_cookie
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The stops that run, one button each to lift them, and a form for a new one."""
    if not moderator_of(request).lead:
        raise PermissionDenied
    context = {
        **admin.site.each_context(request), "title": "Emergency stops", "kinds": stops.KINDS,
        "stops": stops.listed(limit=MOST_LISTED), "kind": request.GET.get("kind", ""),
        "value": request.GET.get("value", ""), "most_reason": stops.MAX_REASON_CHARS,
        "most_value": stops.MAX_VALUE_CHARS, "policies": POLICIES,
    }  # fmt: skip
    return TemplateResponse(request, "moderation/stops.html", context)
