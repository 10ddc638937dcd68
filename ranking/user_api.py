"""HTTP doors of one user's past: what they did, and what was done on a device before they logged in."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from events import queries
from events.authentication import acting_user, require_scope
from events.bodies import JsonBody
from events.cleaning.rules import is_anonymous
from events.cleaning.schema import EVENT_TYPES, show
from events.columnar.history import History
from events.errors import Conflict, InvalidRequest
from events.preferences import TooManyNames
from events.serializers import ErrorAnswer
from events.views import BODY_REFUSALS, REFUSALS, BodyView
from ranking import api_examples as examples
from ranking.api_serializers import HistoryAnswer, MergeAnswer, MergeBody
from ranking.merging import merge_users
from ranking.query_params import only, whole_number
from ranking.stated import Stated

DEFAULT_EVENTS: Final = 50
MOST_EVENTS: Final = 1_000


class UserHistoryView(APIView):
    """What a user did."""

    permission_classes = (require_scope("users:read"),)

    @extend_schema(
        summary="Read what a user did",
        description="The newest events first, and every refusal, however old: all that a feed looks at. Uploads are "
        "not among them.",
        parameters=[OpenApiParameter("limit", int, description=f"Events, 1 to {MOST_EVENTS}.", default=DEFAULT_EVENTS)],
        responses={200: HistoryAnswer, **REFUSALS, 404: ErrorAnswer},
        examples=[examples.HISTORY],
    )
    def get(self, request: Request, user_id: str) -> Response:
        params = request.query_params
        only(params, ("limit",))
        user_id = acting_user(request, user_id)
        limit = whole_number(params, "limit", default=DEFAULT_EVENTS, most=MOST_EVENTS)
        return Response({"user_id": user_id, "items": _events(queries.recent_history(user_id, limit=limit))})


class MergeView(BodyView):
    """The past of a device becomes a user's."""

    parser_classes = (JsonBody,)
    permission_classes = (require_scope("users:write"),)

    @extend_schema(
        summary="Hand the past of a device on to a user",
        description="After somebody has logged in: what was done and shown on the device `anon:<anonymous_id>` counts "
        "as done by and shown to the user, whose next feed follows it and repeats nothing of it. What the device "
        "muted, blocked or liked by its preferences is joined to the user's, whose other wishes stay; its profile "
        "goes; where both together mute or block more than a list has room for, it is refused (`too_many_names`) and "
        "nothing changes. Events that the device sends later stay its own until it is merged again. It is safe to "
        "repeat, and it cannot be undone. For server keys, and for the user's own token: who knows the id of a "
        "device is on it.",
        request=MergeBody,
        responses={200: MergeAnswer, **BODY_REFUSALS, 409: ErrorAnswer},
        examples=[examples.MERGE_BODY, examples.MERGE],
    )
    def post(self, request: Request) -> Response:
        body = MergeBody(data=request.data)
        body.is_valid(raise_exception=True)
        told = {name: body.validated_data[name] for name in ("user_id", "anonymous_id") if name in body.validated_data}
        user_id = acting_user(request, told.get("user_id"))
        device_id = Stated({"anonymous_id": told["anonymous_id"]}, {}).whom()
        assert device_id is not None, "the body names a device"
        if is_anonymous(user_id):
            raise InvalidRequest(f"user_id must be a user, not a device; got {show(user_id)}", field="user_id")
        try:
            merged = merge_users(device_id, user_id)
        except TooManyNames as error:
            raise Conflict(str(error), code="too_many_names", field=error.field) from None
        return Response({"user_id": user_id, **asdict(merged)})


def _events(history: History) -> list[dict[str, Any]]:
    """The rows of a history, newest first, with null where nothing is known."""
    return [
        {
            "event_type": EVENT_TYPES[history.event_type[row]],
            "content_id": history.content_id[row] or None,
            "creator_id": history.creator_id[row] or None,
            "timestamp": datetime.fromtimestamp(history.timestamp[row], UTC),
            "watch_s": None if np.isnan(history.watch_s[row]) else round(float(history.watch_s[row]), 3),
            "surface": history.surface[row] or None,
        }
        for row in reversed(range(len(history)))
    ]
