"""HTTP doors of one user's wishes: preferences, interests, follows, blocks, mutes, hidden contents.

Blocks and mutes are preferences; follows and hides are events, as if the client had sent them. All of them may be sent
again safely, and the very next feed obeys.
"""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from events import preferences, relations
from events.authentication import acting_user, credential_from, require_scope, valid_id
from events.bodies import JsonBody
from events.cleaning.preferences import Preferences, as_document
from events.errors import Conflict
from events.serializers import ErrorAnswer
from events.user_serializers import InterestsBody, PreferencesAnswer, PreferencesBody, RelationAnswer
from events.views import BODY_REFUSALS, REFUSALS

STATED = {
    "user_id": "mia",
    "liked_categories": ["ocean", "neon"],
    "liked_creators": [],
    "muted_categories": ["cars"],
    "muted_creators": ["loud-larry"],
    "blocked_creators": [],
    "languages": ["en", "pt-BR"],
    "profiling": True,
    "sensitive_content": False,
}
ANSWER = OpenApiExample("What Mia states", value=STATED, response_only=True, status_codes=["200"])
CHANGE = OpenApiExample("Mute a topic", value={"muted_categories": ["cars"]}, request_only=True)
PICKED = OpenApiExample("Picked on the first day", value={"categories": ["ocean", "neon"]}, request_only=True)
STANDING = OpenApiExample(
    "It holds now",
    value={"user_id": "mia", "relation": "blocks", "target_id": "loud-larry", "active": True, "changed": True},
    response_only=True,
    status_codes=["200"],
)


class PreferencesView(APIView):
    """What a user states to want and not to want."""

    parser_classes = (JsonBody,)
    permission_classes = (require_scope("users:read", write="users:write"),)

    @extend_schema(
        summary="Read preferences", responses={200: PreferencesAnswer, **REFUSALS, 404: ErrorAnswer}, examples=[ANSWER]
    )
    def get(self, request: Request, user_id: str) -> Response:
        user_id = acting_user(request, user_id)
        return _stated(user_id, preferences.preferences_of(user_id))

    @extend_schema(
        summary="Replace preferences",
        description="What is left out goes back to its default. What was learned from behaviour stays.",
        request=PreferencesBody,
        responses={200: PreferencesAnswer, **BODY_REFUSALS, 404: ErrorAnswer},
        examples=[ANSWER, CHANGE],
    )
    def put(self, request: Request, user_id: str) -> Response:
        user_id = acting_user(request, user_id)
        return _stated(user_id, preferences.replace_preferences(user_id, _checked(PreferencesBody, request)))

    @extend_schema(
        summary="Change some preferences",
        description="What is left out stays as it is.",
        request=PreferencesBody,
        responses={200: PreferencesAnswer, **BODY_REFUSALS, 404: ErrorAnswer},
        examples=[ANSWER, CHANGE],
    )
    def patch(self, request: Request, user_id: str) -> Response:
        user_id = acting_user(request, user_id)
        return _stated(user_id, preferences.change_preferences(user_id, _checked(PreferencesBody, request)))


class InterestsView(APIView):
    """What a user picks on the first day."""

    parser_classes = (JsonBody,)
    permission_classes = (require_scope("users:write"),)

    @extend_schema(
        summary="State interests",
        description="Replaces earlier interests; a liked topic or creator is not muted any more.",
        request=InterestsBody,
        responses={200: PreferencesAnswer, **BODY_REFUSALS, 404: ErrorAnswer},
        examples=[PICKED, ANSWER],
    )
    def put(self, request: Request, user_id: str) -> Response:
        user_id = acting_user(request, user_id)
        picked = {name: tuple(names) for name, names in _checked(InterestsBody, request).items()}
        return _stated(user_id, preferences.set_interests(user_id, preferences.Interests(**picked)))


class ShunnedView(APIView):
    """One creator whom a user blocks or mutes; `how` comes from the route."""

    permission_classes = (require_scope("users:write"),)
    how: preferences.Shunning = "blocks"

    @extend_schema(
        summary="Block or mute a creator",
        description="A blocked or muted creator is gone from the next feed, and no longer among those liked.",
        request=None,
        responses={200: RelationAnswer, **REFUSALS, 404: ErrorAnswer, 409: ErrorAnswer},
        examples=[STANDING],
    )
    def put(self, request: Request, user_id: str, creator_id: str) -> Response:
        return self._set(request, user_id, creator_id, present=True)

    @extend_schema(
        summary="Take blocking or muting a creator back",
        request=None,
        responses={200: RelationAnswer, **REFUSALS, 404: ErrorAnswer},
    )
    def delete(self, request: Request, user_id: str, creator_id: str) -> Response:
        return self._set(request, user_id, creator_id, present=False)

    def _set(self, request: Request, user_id: str, creator_id: str, *, present: bool) -> Response:
        user_id, creator_id = acting_user(request, user_id), valid_id(creator_id, field="creator_id")
        try:
            changed = preferences.set_shunned(user_id, creator_id, self.how, present=present)
        except preferences.TooManyNames as error:
            raise Conflict(str(error), code="too_many_names", field=error.field) from None
        return _standing(user_id, self.how, creator_id, active=present, changed=changed)


class RelatedView(APIView):
    """One creator whom a user follows, or one content that they hid; `relation` comes from the route."""

    permission_classes = (require_scope("events:write"),)
    relation: relations.Relation = "follows"

    @extend_schema(
        summary="Follow a creator, or hide a content",
        request=None,
        responses={200: RelationAnswer, **REFUSALS, 404: ErrorAnswer},
    )
    def put(self, request: Request, user_id: str, **target: str) -> Response:
        return self._set(request, user_id, target, present=True)

    @extend_schema(
        summary="Stop following a creator, or take hiding a content back",
        description="A report of the same content stays, and keeps it away.",
        request=None,
        responses={200: RelationAnswer, **REFUSALS, 404: ErrorAnswer},
    )
    def delete(self, request: Request, user_id: str, **target: str) -> Response:
        return self._set(request, user_id, target, present=False)

    def _set(self, request: Request, user_id: str, target: dict[str, str], *, present: bool) -> Response:
        ((field, given),) = target.items()
        user_id, target_id = acting_user(request, user_id), valid_id(given, field=field)
        anonymous = credential_from(request).kind == "publishable"
        changed = relations.set_relation(
            user_id, target_id, self.relation, present=present, now=timezone.now(), anonymous=anonymous
        )
        return _standing(user_id, self.relation, target_id, active=present, changed=changed)


def _standing(user_id: str, relation: str, target_id: str, *, active: bool, changed: bool) -> Response:
    return Response(
        {"user_id": user_id, "relation": relation, "target_id": target_id, "active": active, "changed": changed}
    )


def _stated(user_id: str, stated: Preferences) -> Response:
    return Response({"user_id": user_id, **as_document(stated)})


def _checked(body_type: type[Any], request: Request) -> dict[str, Any]:
    body = body_type(data=request.data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)
