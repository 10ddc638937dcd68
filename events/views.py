"""HTTP doors of the ingestion layer: events in, catalogue and users in and out, tokens, health.

A door parses, calls one service and renders. Only doors ask for the time.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from events import api_examples as examples
from events import catalogue, client_tokens, intake, openapi, queries, throttling
from events.authentication import (
    acting_user,
    address_of,
    credential_from,
    credential_of,
    ensure_scope,
    origin_of,
    require_scope,
    valid_id,
)
from events.bodies import Batch, BatchBody, BeaconBody, JsonBody, ensure_length
from events.cleaning.schema import show
from events.errors import Forbidden, InvalidRequest, NotFound
from events.serializers import (
    ClientTokenAnswer,
    ClientTokenBody,
    ContentAnswer,
    ContentBody,
    ContentChange,
    ErrorAnswer,
    IngestAnswer,
    UserAnswer,
    UserBody,
)

REFUSALS = {400: ErrorAnswer, 401: ErrorAnswer, 403: ErrorAnswer, 429: ErrorAnswer, 503: ErrorAnswer}
BODY_REFUSALS = {**REFUSALS, 411: ErrorAnswer, 413: ErrorAnswer, 415: ErrorAnswer}

CONTENT_ID = OpenApiParameter("content_id", str, required=True)
USER_ID = OpenApiParameter("user_id", str, required=True)


class BodyView(APIView):
    """A door for JSON bodies."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        ensure_length(request.META)


class EventsView(BodyView):
    """Take in a batch of events."""

    parser_classes = (BatchBody,)
    permission_classes = (require_scope(intake.SCOPE),)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        intake.raise_refusal(request.META)
        super().initial(request, *args, **kwargs)

    @extend_schema(
        summary="Send events",
        description="Each event is judged by itself; a batch may be sent again safely. Answers after the commit.",
        request={"application/json": openapi.batch_schema()},
        responses={202: IngestAnswer, **BODY_REFUSALS},
    )
    def post(self, request: Request) -> Response:
        return _accepted(intake.take_in(request.data, credential_from(request), request.META, source="api"))


class BeaconView(BodyView):
    """Take in the last events of a page that is being closed; the token lies in the body."""

    parser_classes = (BeaconBody,)
    authentication_classes = ()
    # The body says who is calling, so the scope is checked once it is read.
    permission_classes = ()

    @extend_schema(
        summary="Send events with navigator.sendBeacon",
        request={"text/plain": openapi.batch_schema(with_token=True)},
        responses={202: IngestAnswer, **BODY_REFUSALS},
        auth=[],
    )
    def post(self, request: Request) -> Response:
        if not isinstance(request.data, Batch):
            raise InvalidRequest("events must hold at least one event", code="empty_batch")
        credential = credential_of(
            request.data.token, origin=origin_of(request._request), address=address_of(request._request)
        )
        if credential.is_server:
            # A server key in a page would be a leak; do not make it work.
            raise Forbidden("a beacon needs an end-user token, not a server key", code="user_token_required")
        ensure_scope(credential, intake.SCOPE)
        if settings.RATE_LIMITS:
            # The address was counted before the body was read.
            throttling.check(throttling.owners(credential))
        return _accepted(intake.take_in(request.data, credential, request.META, source="beacon"))


class ContentView(BodyView):
    """One content of the catalogue; `NamedContentView` is the same with the id in the query."""

    parser_classes = (JsonBody,)
    permission_classes = (require_scope("content:read", write="content:write"),)

    @extend_schema(summary="Read a content", responses={200: ContentAnswer, **REFUSALS, 404: ErrorAnswer})
    def get(self, request: Request, content_id: str | None = None) -> Response:
        content_id = _named(request, content_id, "content_id")
        content = queries.content(content_id)
        # What moderation took away is gone for end users; the host app still sees its state.
        end_user = not credential_from(request).is_server
        # A stop is for everybody's eyes; a suspended creator's contents stay where a link leads to them.
        if content is None or (end_user and not (_is_shown(content) and queries.running(content_id))):
            raise _no_content(content_id)
        return Response(ContentAnswer(content).data)

    @extend_schema(
        summary="Add or replace a content",
        request=ContentBody,
        responses={200: ContentAnswer, 201: ContentAnswer, **BODY_REFUSALS, 404: ErrorAnswer},
    )
    def put(self, request: Request, content_id: str | None = None) -> Response:
        content_id = _named(request, content_id, "content_id")
        body = ContentBody(data=request.data)
        body.is_valid(raise_exception=True)
        facts = {"upload_timestamp": timezone.now(), **body.validated_data}
        created = catalogue.register_content(catalogue.NewContent(content_id, **facts))
        return Response(ContentAnswer(queries.content(content_id)).data, status=201 if created else 200)

    @extend_schema(
        summary="Change some facts of a content",
        description="What is left out stays. Keys of `metadata` are changed by name; null takes one away.",
        request=ContentChange,
        responses={200: ContentAnswer, **BODY_REFUSALS, 404: ErrorAnswer},
        examples=[examples.CONTENT_CHANGE],
    )
    def patch(self, request: Request, content_id: str | None = None) -> Response:
        content_id = _named(request, content_id, "content_id")
        body = ContentChange(data=request.data)
        body.is_valid(raise_exception=True)
        if not catalogue.change_content(content_id, body.validated_data):
            raise _no_content(content_id)
        return Response(ContentAnswer(queries.content(content_id)).data)

    @extend_schema(
        summary="Take a content out of every feed",
        description="It expires now (`expires_at`): nobody is shown it any more, on open cursors neither, while "
        "figures and the log stay. Putting it again brings it back. It is safe to repeat.",
        responses={204: None, **REFUSALS, 404: ErrorAnswer},
    )
    def delete(self, request: Request, content_id: str | None = None) -> Response:
        content_id = _named(request, content_id, "content_id")
        if not catalogue.end_content(content_id, now=timezone.now()):
            raise _no_content(content_id)
        return Response(status=204)


class UserView(BodyView):
    """One user's profile. Its routes are in `ranking.user_api`: who erases a user must know of all that is derived."""

    parser_classes = (JsonBody,)
    permission_classes = (require_scope("users:read", write="users:write"),)

    @extend_schema(summary="Read a user", responses={200: UserAnswer, **REFUSALS, 404: ErrorAnswer})
    def get(self, request: Request, user_id: str | None = None) -> Response:
        return _profile(acting_user(request, _named(request, user_id, "user_id")))

    @extend_schema(
        summary="Add or replace a user",
        request=UserBody,
        responses={200: UserAnswer, 201: UserAnswer, **BODY_REFUSALS, 404: ErrorAnswer},
    )
    def put(self, request: Request, user_id: str | None = None) -> Response:
        user_id = acting_user(request, _named(request, user_id, "user_id"))
        body = UserBody(data=request.data)
        body.is_valid(raise_exception=True)
        created = catalogue.update_profile(catalogue.NewProfile(user_id, **body.validated_data))
        return _profile(user_id, status=201 if created else 200)

    @extend_schema(
        summary="Change some facts of a user",
        description="Keys of `demographics` and `preferences` are changed by name; null takes one away.",
        request=UserBody,
        responses={200: UserAnswer, **BODY_REFUSALS, 404: ErrorAnswer},
        examples=[examples.USER_CHANGE],
    )
    def patch(self, request: Request, user_id: str | None = None) -> Response:
        user_id = acting_user(request, _named(request, user_id, "user_id"))
        body = UserBody(data=request.data)
        body.is_valid(raise_exception=True)
        catalogue.change_profile(user_id, body.validated_data)
        return _profile(user_id)


@openapi.named("content", CONTENT_ID)
class NamedContentView(ContentView):
    """One content, named in the query: for ids that end like a route."""


class ClientTokenView(BodyView):
    """Mint a token for one end user."""

    parser_classes = (JsonBody,)
    permission_classes = (require_scope("tokens:mint"),)

    @extend_schema(
        summary="Mint an end-user token", request=ClientTokenBody, responses={200: ClientTokenAnswer, **BODY_REFUSALS}
    )
    def post(self, request: Request) -> Response:
        body = ClientTokenBody(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        token, expires_at = client_tokens.mint(wanted["user_id"], now=timezone.now(), ttl_s=wanted["ttl_s"])
        answer = Response(ClientTokenAnswer({"token": token, "expires_at": expires_at}).data)
        answer["Cache-Control"] = "no-store"
        return answer


@never_cache
def livez(request: HttpRequest) -> JsonResponse:
    """The process answers; nothing else is looked at, so a database that is away restarts nobody."""
    del request
    return JsonResponse({"status": "ok"})


@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """The process can do its work: the database answers and has the tables."""
    del request
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM event LIMIT 1")
    except Error:
        return JsonResponse({"status": "unavailable", "checks": {"database": "unavailable"}}, status=503)
    return JsonResponse({"status": "ok", "checks": {"database": "ok"}})


def _is_shown(content: Mapping[str, Any]) -> bool:
    ends: datetime | None = content["expires_at"]
    return content["status"] == "active" and (ends is None or ends > timezone.now())


def _named(request: Request, given: str | None, field: str) -> str:
    """The id in the path, else the one in the query."""
    return valid_id(request.query_params.get(field, "") if given is None else given, field=field)


def _no_content(content_id: str) -> NotFound:
    return NotFound(f"there is no content with the id {show(content_id)}", content_id=content_id)


def _profile(user_id: str, *, status: int = 200) -> Response:
    profile = queries.profile(user_id)
    if profile is None:
        raise NotFound(f"there is no user with the id {show(user_id)}", user_id=user_id)
    return Response(UserAnswer(profile).data, status=status)


def _accepted(report: dict[str, Any]) -> Response:
    return Response(report, status=intake.STATUS)
