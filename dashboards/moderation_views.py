"""HTTP doors of saved views: a moderator's own choices of cases, by name."""

from typing import Any, Final

from django.db import IntegrityError, transaction
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from dashboards.casework.log import SUBJECTS
from dashboards.casework.policies import CODES
from dashboards.moderation_facts import VIEWS
from dashboards.moderation_models import QueueView
from dashboards.moderation_serializers import ProseField
from dashboards.moderation_staff_api import StaffView, moderator_of
from events.errors import Conflict, NotFound
from events.serializers import ErrorAnswer, IdField, StrictSerializer
from events.views import BODY_REFUSALS, REFUSALS
from ranking.query_params import only

MOST_VIEWS: Final = 30


class ViewParams(StrictSerializer):
    """What the list of cases is asked for."""

    view = serializers.ChoiceField(choices=VIEWS, default="open")
    kind = serializers.ChoiceField(choices=SUBJECTS, required=False)
    policy = serializers.ChoiceField(choices=CODES, required=False)
    author_id = IdField(required=False)
    least_priority = serializers.IntegerField(min_value=0, max_value=100, required=False)


class SavedViewBody(StrictSerializer):
    """A choice of cases and its name."""

    name = ProseField(max_length=40)
    params = ViewParams()


class SavedViewAnswer(serializers.Serializer[Any]):
    """A saved view."""

    view_id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    params = serializers.DictField()


class SavedViewsAnswer(serializers.Serializer[Any]):
    """One's own saved views, by name."""

    items = SavedViewAnswer(many=True)


class SavedViewsView(StaffView):
    """One's own saved views."""

    @extend_schema(summary="List one's saved views", responses={200: SavedViewsAnswer, **REFUSALS})
    def get(self, request: Request) -> Response:
        only(request.query_params, ())
        rows = QueueView.objects.filter(owner=moderator_of(request).id).order_by("name")
        return Response(SavedViewsAnswer({"items": rows}).data)

    @extend_schema(
        summary="Save a view",
        description="Parameters of the list of cases under a name; of one's own alone.",
        request=SavedViewBody,
        responses={201: SavedViewAnswer, **BODY_REFUSALS, 409: ErrorAnswer},
        examples=[
            OpenApiExample(
                "Urgent spam",
                value={"name": "urgent spam", "params": {"view": "open", "policy": "spam", "least_priority": 20}},
                request_only=True,
            )
        ],
    )
    def post(self, request: Request) -> Response:
        body = SavedViewBody(data=request.data)
        body.is_valid(raise_exception=True)
        owner, told = moderator_of(request).id, body.validated_data
        if QueueView.objects.filter(owner=owner).count() >= MOST_VIEWS:
            raise Conflict(f"there may be {MOST_VIEWS} saved views", code="too_many_views")
        try:
            with transaction.atomic():
                made = QueueView.objects.create(owner=owner, name=told["name"], params=told["params"])
        except IntegrityError:
            raise Conflict("there is a view of this name", code="name_taken", name=told["name"]) from None
        return Response(SavedViewAnswer(made).data, status=201)


class SavedViewView(StaffView):
    """One saved view."""

    @extend_schema(
        summary="Forget a saved view", request=None, responses={204: None, **REFUSALS, 404: ErrorAnswer}
    )  # fmt: skip
    def delete(self, request: Request, view_id: int) -> Response:
        gone, _ = QueueView.objects.filter(pk=view_id, owner=moderator_of(request).id).delete()
        if not gone:
            raise NotFound(f"there is no saved view {view_id}", view_id=view_id)
        return Response(status=204)
