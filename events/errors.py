"""What the API says when it refuses: one JSON shape for every error, whoever found it.

`{"error": {"code": "<stable word>", "message": "<sentence naming the value>", "details": {...}}}`

Views raise `ApiError`s; whatever Django and the REST framework raise by themselves is translated here. An unexpected
exception is not hidden: it is logged by Django and answered as JSON by `server_error`.
"""

import sys
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response

from events.cleaning.schema import ForbiddenUser, InvalidEvent

API_PREFIX: Final = "/api/"
RETRY_AFTER_S: Final = 5
# Marks the environment of a request that was refused as planned. No header can set it: those are named HTTP_... there.
EXPECTED: Final = "recsys.expected_refusal"
_CODES: Final = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    411: "length_required",
    413: "body_too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
    503: "unavailable",
}
_CREDENTIAL_CODES: Final = frozenset({"invalid_key", "invalid_token", "token_expired"})
# What Django raises by itself, and what a caller is told; the more special kinds first.
_FOREIGN: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], int, str], ...]] = (
    (RequestDataTooBig, 413, "the request body is larger than this server accepts"),
    (Http404, 404, "there is no such resource"),
    (PermissionDenied, 403, "not allowed"),
    (SuspiciousOperation, 400, "the request is malformed"),
    (
        (OperationalError, InterfaceError),
        503,
        "the database cannot be reached or does not answer in time; nothing is confirmed, so send it again",
    ),
)


class ApiError(Exception):
    """An answer other than success: HTTP status, stable code, one sentence, and details for programs."""

    status = HTTPStatus.BAD_REQUEST
    code = "invalid_request"
    is_expected = False
    """Whether the server works as it should: its log tells of it, but of no error, whatever the status."""

    def __init__(self, message: str, *, code: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.details = details
        self.headers: dict[str, str] = {}


class InvalidRequest(ApiError):
    """The request cannot be understood."""


class Forbidden(ApiError):
    """The credential is good, but not for this."""

    status = HTTPStatus.FORBIDDEN
    code = "forbidden"


class NotFound(ApiError):
    """There is no such thing."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"


class Conflict(ApiError):
    """The request is right, but what is stored leaves no room for it."""

    status = HTTPStatus.CONFLICT
    code = "conflict"


class UnsupportedEncoding(ApiError):
    """The body is packed in a way this server does not unpack."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "unsupported_encoding"


class LengthRequired(ApiError):
    """The body is sent in chunks, without a length."""

    status = HTTPStatus.LENGTH_REQUIRED
    code = "length_required"


class TooManyRequests(ApiError):
    """More requests than allowed; `retry_after_s` later one will be answered again."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_requests"

    def __init__(self, message: str, *, retry_after_s: int, limit: int) -> None:
        super().__init__(message, retry_after_s=retry_after_s, limit=limit)
        self.headers = {
            "Retry-After": str(retry_after_s),
            "RateLimit-Limit": str(limit),
            "RateLimit-Remaining": "0",
            "RateLimit-Reset": str(retry_after_s),
        }


class Unavailable(ApiError):
    """Something this answer needs is away; asking again later may succeed."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "unavailable"


def handle_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """The REST framework's exception handler; None hands an unexpected exception on to Django."""
    match error:
        case ApiError():
            _mark(error, context)
            answer = _answer(error.status, error.code, error.message, error.details, error.headers)
        case exceptions.ValidationError():
            answer = _answer(400, "invalid_fields", first_fault(error.detail), {"fields": error.detail})
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            # The framework turns these into 403 for a view that authenticates by itself, as the beacon does.
            code = str(error.get_codes())
            answer = _answer(401, code if code in _CREDENTIAL_CODES else _CODES[401], str(error.detail))
            answer["WWW-Authenticate"] = 'Bearer realm="recsys"'
        case exceptions.ParseError():
            answer = _answer(400, "parse_error", str(error.detail))
        case exceptions.APIException():
            answer = _answer(error.status_code, _CODES.get(error.status_code, "error"), str(error.detail))
        case ForbiddenUser():
            answer = _answer(403, error.code, error.detail)
        case InvalidEvent():
            answer = _answer(400, error.code, error.detail)
        case _:
            for kinds, status, message in _FOREIGN:
                if isinstance(error, kinds):
                    answer = _answer(status, _CODES[status], message)
                    break
            else:
                return None
    if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers.setdefault("Retry-After", str(RETRY_AFTER_S))
    return answer


def _mark(error: ApiError, context: Mapping[str, Any]) -> None:
    request = context.get("request")
    if request is not None:
        request.META[EXPECTED] = error.is_expected


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """`handler404`: JSON below /api/, Django's page elsewhere."""
    if request.path.startswith(API_PREFIX):
        return JsonResponse(error_body(_CODES[404], f"there is nothing at {request.path}"), status=404)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """`handler500`: JSON below /api/, Django's page elsewhere. The exception itself is in the log.

    A database that is away is no fault of the page: 503, and when to come back.
    """
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        return _database_away(request)
    if request.path.startswith(API_PREFIX):
        return JsonResponse(error_body("internal_error", "something went wrong; it has been logged"), status=500)
    return defaults.server_error(request)


def _database_away(request: HttpRequest) -> HttpResponse:
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    status, message = next(row[1:] for row in _FOREIGN if row[0] == (OperationalError, InterfaceError))
    if request.path.startswith(API_PREFIX):
        return JsonResponse(error_body(_CODES[status], message), status=status, headers=headers)
    text = f"Temporarily unavailable: {message}.\n"
    return HttpResponse(text, status=status, headers=headers, content_type="text/plain; charset=utf-8")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """`handler400`: JSON below /api/, Django's page elsewhere."""
    if request.path.startswith(API_PREFIX):
        return JsonResponse(error_body(_CODES[400], "the request is malformed"), status=400)
    return defaults.bad_request(request, exception)


def error_body(code: str, message: str, details: Any = None) -> dict[str, Any]:
    """The one shape of an error."""
    return {"error": {"code": code, "message": message, "details": details or {}}}


def _answer(
    status: int, code: str, message: str, details: Any = None, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(error_body(code, message, details), status=status, headers=headers)


def first_fault(detail: Any) -> str:
    """A sentence for people out of the framework's nested fault lists."""
    path: list[str] = []
    while isinstance(detail, dict | list) and detail:
        if isinstance(detail, dict):
            key = next(iter(detail))
            path.append(str(key))
            detail = detail[key]
        else:
            detail = detail[0]
    return f"{'.'.join(path)}: {detail}" if path else str(detail)
