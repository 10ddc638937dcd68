"""Who is calling: a host app's server with its key, or one end user with a short-lived token.

Both come as `Authorization: Bearer ...`. Every API view of every app shares this; sessions and cookies of the admin
mean nothing here.
"""

import time
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.utils import timezone
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from events import api_keys, client_tokens
from events.cleaning.schema import MAX_ID_CHARS, InvalidEvent, check_text, show
from events.errors import Forbidden, InvalidRequest
from events.models import ApiKey

# A server sends many requests with one key; looking it up each time would cost one query each. This is also how long
# a revoked key may live on in another process.
CACHE_S: Final = 5.0
_known: dict[str, tuple[float, ApiKey]] = {}


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request proved: a server may act for any user, a user for itself only."""

    kind: Literal["server", "user"]
    user_id: str | None = None

    @property
    def is_server(self) -> bool:
        return self.kind == "server"


class BearerAuthentication(BaseAuthentication):
    """Turns the Authorization header into `request.auth`, a Credential."""

    def authenticate(self, request: Request) -> tuple[None, Credential] | None:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not secret:
            return None
        return None, credential_of(secret)

    def authenticate_header(self, request: Request) -> str:
        del request  # the same for all
        return 'Bearer realm="recsys"'


class HasCredential(BasePermission):
    """A server key or a user token is needed."""

    def has_permission(self, request: Request, view: Any) -> bool:
        del view
        if not isinstance(request.auth, Credential):
            raise exceptions.NotAuthenticated("a server key or an end-user token is needed: Authorization: Bearer ...")
        return True


class HasServerKey(HasCredential):
    """A server key is needed; a user token gets 403."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if isinstance(request.auth, Credential) and not request.auth.is_server:
            raise Forbidden("only a server key may do this; an end-user token may not", code="server_key_required")
        return super().has_permission(request, view)


def credential_of(secret: str) -> Credential:
    """Check a key or token; raises AuthenticationFailed, which is answered with 401."""
    if secret.startswith(api_keys.PREFIX):
        if not _key_holds(secret):
            raise exceptions.AuthenticationFailed("the server key is unknown, expired or revoked", "invalid_key")
        return Credential("server")
    try:
        return Credential("user", client_tokens.verify(secret, now=timezone.now()))
    except client_tokens.InvalidToken as error:
        raise exceptions.AuthenticationFailed(str(error), error.code) from None


def credential_from(request: Request) -> Credential:
    """What an authenticated request proved."""
    assert isinstance(request.auth, Credential), "the view lacks the permission HasCredential"
    return request.auth


def acting_user(request: Request, claimed: str | None) -> str:
    """The user a request is about: the token's own, or the one a server names.

    Raises
    ------
    Forbidden
        A user token names another user (`forbidden_user`).
    InvalidRequest
        A server names no user, or one that cannot be an id.
    """
    credential = credential_from(request)
    if credential.user_id is not None:
        if claimed is not None and claimed != credential.user_id:
            message = f"this token speaks for {show(credential.user_id)}, not for {show(claimed)}"
            raise Forbidden(message, code="forbidden_user", user_id=claimed[:MAX_ID_CHARS])
        return credential.user_id
    if not claimed:
        raise InvalidRequest("user_id is required with a server key", code="missing_field", field="user_id")
    return valid_id(claimed, field="user_id")


def valid_id(value: str, *, field: str) -> str:
    """An id from a path or query string, checked as the ones in events are."""
    if not 1 <= len(value) <= MAX_ID_CHARS:
        raise InvalidRequest(f"{field} must have 1 to {MAX_ID_CHARS} characters; it has {len(value)}", field=field)
    try:
        return check_text(value, field=field)
    except InvalidEvent as error:
        raise InvalidRequest(error.detail, field=field) from None


def forget_keys() -> None:
    """Drop what this process remembers of keys."""
    _known.clear()


def _key_holds(secret: str) -> bool:
    digest = api_keys.digest_of(secret)
    checked_at, key = _known.get(digest, (float("-inf"), None))
    if key is None or time.monotonic() - checked_at > CACHE_S:
        key = api_keys.find_key(secret)
        if key is None:
            # Unknown keys are not remembered: guesses would fill the memory.
            _known.pop(digest, None)
            return False
        _known[digest] = (time.monotonic(), key)
    return api_keys.is_valid(key, now=timezone.now())
