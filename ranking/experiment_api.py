"""HTTP doors of experiments for apps: which arms a user is in, and tests that a client runs by itself."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from events.authentication import acting_user, require_scope
from events.bodies import JsonBody
from events.errors import NotFound
from events.serializers import ErrorAnswer, IdField, StrictSerializer
from events.views import BODY_REFUSALS, REFUSALS, BodyView
from ranking import assignment
from ranking.experiment_models import Exposure
from ranking.query_params import only


class AssignmentAnswer(serializers.Serializer[Any]):
    """The arm of one running experiment."""

    key = serializers.CharField(help_text="Of the experiment.")
    variant = serializers.CharField(help_text="Its arm.")
    phase = serializers.IntegerField(min_value=1)
    payload = serializers.JSONField(allow_null=True, help_text="What the arm tells the client.")


class AssignmentsAnswer(serializers.Serializer[Any]):
    """Every running experiment that a user takes part in."""

    user_id = serializers.CharField()
    experiments = AssignmentAnswer(many=True)


class ExposureBody(StrictSerializer):
    """A client has just acted on the arm of a user."""

    user_id = IdField(required=False, help_text="May be left out with an end-user token.")
    experiment = serializers.CharField(max_length=32)


class ExposureAnswer(serializers.Serializer[Any]):
    """Which arm was written down; the first time counts."""

    user_id = serializers.CharField()
    experiment = serializers.CharField()
    variant = serializers.CharField()


ASSIGNMENTS = OpenApiExample(
    "One experiment", response_only=True, status_codes=["200"],
    value={"user_id": "mia",
           "experiments": [{"key": "autoplay", "variant": "on", "phase": 1, "payload": {"autoplay": True}}]},
)  # fmt: skip


class AssignmentsView(APIView):
    """The arms of a user."""

    permission_classes = (require_scope("feed:read"),)

    @extend_schema(
        summary="List the experiments a user takes part in",
        description="By hash, so the answer never changes while a phase runs. The feed applies its own arms by itself "
        "and says so; this is for what a client does. Being assigned is not being exposed.",
        parameters=[OpenApiParameter("user_id", str, description="May be left out with an end-user token.")],
        responses={200: AssignmentsAnswer, **REFUSALS},
        examples=[ASSIGNMENTS],
    )
    def get(self, request: Request) -> Response:
        only(request.query_params, ("user_id",))
        user_id = acting_user(request, request.query_params.get("user_id"))
        found = []
        for each, arm in assignment.arms_of(user_id):
            payload = next(known.payload for known in each.told.arms if known.key == arm)
            found.append({"key": each.told.key, "variant": arm, "phase": each.phase, "payload": payload})
        return Response({"user_id": user_id, "experiments": found}, headers={"Cache-Control": "no-store"})


class ExposuresView(BodyView):
    """Exposures that happen in a client."""

    parser_classes = (JsonBody,)
    permission_classes = (require_scope("events:write"),)

    @extend_schema(
        summary="Tell that a client acted on an arm",
        description="Once the client did something that depends on the arm, not before: who never got there says "
        "nothing about it. Which arm it is, the server knows; it is safe to repeat. Feeds are told by themselves.",
        request=ExposureBody,
        responses={200: ExposureAnswer, **BODY_REFUSALS, 404: ErrorAnswer},
    )
    def post(self, request: Request) -> Response:
        body = ExposureBody(data=request.data)
        body.is_valid(raise_exception=True)
        user_id, key = acting_user(request, body.validated_data.get("user_id")), body.validated_data["experiment"]
        known = {each.told.key: (each, arm) for each, arm in assignment.arms_of(user_id)}
        if key not in known:
            message = f"{user_id[:80]!a} takes part in no running experiment {key!a}"
            raise NotFound(message, code="not_in_experiment", experiment=key)
        each, arm = known[key]
        if each.allocation.counts(user_id):
            Exposure.objects.bulk_create(
                [Exposure(experiment=key, phase=each.phase, user_id=user_id, arm=arm, exposed_at=timezone.now())],
                ignore_conflicts=True,
            )
        return Response({"user_id": user_id, "experiment": key, "variant": arm})
