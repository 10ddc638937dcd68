"""HTTP doors of one user's past: what they did, and what was done on a device before they logged in."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from events import openapi, queries
from events.authentication import acting_user, require_scope, valid_id
from events.bodies import JsonBody
from events.cleaning.rules import is_anonymous
from events.cleaning.schema import EVENT_TYPES, show
from events.columnar.history import History
from events.errors import Conflict, InvalidRequest
from events.preferences import TooManyNames
from events.serializers import ErrorAnswer
from events.views import BODY_REFUSALS, REFUSALS, USER_ID, BodyView, UserView
from ranking import api_examples as examples
from ranking.api_serializers import ErasedAnswer, HistoryAnswer, MergeAnswer, MergeBody, ResetAnswer
from ranking.forgetting import erase_user, reset_history
from ranking.merging import merge_users
from ranking.query_params import only, whole_number
from ranking.stated import Stated

DEFAULT_EVENTS: Final = 50
MOST_EVENTS: Final = 1_000


class UserHistoryView(APIView):
    """What a user did."""

    permission_classes = (require_scope("users:read", write="users:write"),)

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

    @extend_schema(
        summary="Reset a user's recommendations",
        description="What the user did and was shown until now chooses nothing for them any more: the next feed is "
        "that of somebody new, open walks end (`cursor_expired`), what was seen may come again, and what was learned "
        "of the user's likes goes. What they said remains: profile, interests, mutes, blocks, whom they follow, and "
        "what they hid or reported, which stays away. The log remains as well, for the figures and for what everybody "
        "is recommended; it goes with the user (`DELETE /users/{user_id}`). It is safe to repeat.",
        responses={200: ResetAnswer, **REFUSALS, 404: ErrorAnswer},
        examples=[examples.RESET],
    )
    def delete(self, request: Request, user_id: str) -> Response:
        only(request.query_params, ())
        user_id = acting_user(request, user_id)
        return Response({"user_id": user_id, "history_from": reset_history(user_id, now=timezone.now())})


class ErasableUserView(UserView):
    """One user's profile, and the end of all that is known of them."""

    @extend_schema(
        summary="Erase a user",
        description="The profile, preferences, mutes and blocks, every event and refusal, sessions, refused events and "
        "what was served go at once, and the feed afterwards is that of somebody new. Figures are counted again "
        "without the user, and what was learned from the user's sequences goes within minutes; models that serve were "
        "trained on many users and are replaced by the next training. What the user uploaded stays in the catalogue "
        "until it is deleted there, and so does a suspension. The answer says how many rows went, by table; zeros "
        "where nothing was known, so it is safe to repeat. It cannot be undone.",
        responses={200: ErasedAnswer, **REFUSALS, 404: ErrorAnswer},
        examples=[examples.ERASED],
    )
    def delete(self, request: Request, user_id: str | None = None) -> Response:
        given = request.query_params.get("user_id", "") if user_id is None else user_id
        user_id = acting_user(request, valid_id(given, field="user_id"))
        return Response({"user_id": user_id, "rows": erase_user(user_id)})


@openapi.named("user", USER_ID)
class NamedErasableUserView(ErasableUserView):
    """One user, named in the query: for ids that end like a route."""


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
