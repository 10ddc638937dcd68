"""Who is calling, and what it may do: a server key, an end-user token, or a publishable key, each with its scopes.

All come as `Authorization: Bearer ...`. Every API view of every app shares this and names the scope it needs
(`require_scope`); a view that names none is closed. Sessions and cookies of the admin mean nothing here.
"""

import time
from typing import Any, Final

from django.conf import settings
from django.db import Error
from django.http import HttpRequest
from django.utils import timezone
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from events import api_keys, client_tokens, guessing
from events.cleaning.rules import is_anonymous
from events.cleaning.schema import MAX_ID_CHARS, InvalidEvent, check_text, show
from events.credential import Credential
from events.errors import Forbidden, InvalidRequest
from events.models import ApiKey
from events.scopes import USER_SCOPES, allows
from events.throttling import client_address

# A server sends many requests with one key; looking it up each time would cost one query each. This is also how long
# a revoked key may live on in another process: below the five seconds that are promised.
CACHE_S: Final = 4.0
# Marks the environment of a request whose credential holds. No header can set it: those are named HTTP_... there.
KNOWN_CALLER: Final = "recsys.known_caller"
_known: dict[str, tuple[float, ApiKey]] = {}
_origins: list[tuple[float, frozenset[str]]] = []


class BearerAuthentication(BaseAuthentication):
    """Turns the Authorization header into `request.auth`, a Credential."""

    def authenticate(self, request: Request) -> tuple[None, Credential] | None:
        credential = bearer_of(request._request)
        return None if credential is None else (None, credential)

    def authenticate_header(self, request: Request) -> str:
        del request  # the same for all
        return 'Bearer realm="recsys"'


class Closed(BasePermission):
    """The default: a view that does not say which scope it needs answers nobody."""

    scope = ""
    write_scope = ""

    def has_permission(self, request: Request, view: Any) -> bool:
        del view
        credential = request.auth if isinstance(request.auth, Credential) else None
        ensure_credential(credential, self.scope if request.method in SAFE_METHODS else self.write_scope)
        return True


def require_scope(scope: str, *, write: str | None = None) -> type[Closed]:
    """The permission of a view: `scope` is needed, and `write` (else the same) for whatever changes something."""
    return type("Scoped", (Closed,), {"scope": scope, "write_scope": write or scope})


def ensure_credential(credential: Credential | None, scope: str) -> Credential:
    """The credential of a request; raises NotAuthenticated without one, Forbidden where it lacks a scope."""
    if credential is None:
        raise exceptions.NotAuthenticated("a key or an end-user token is needed: Authorization: Bearer ...")
    ensure_scope(credential, scope)
    return credential


def ensure_scope(credential: Credential, scope: str) -> None:
    """Raise Forbidden where a credential does not include a scope."""
    if scope and allows(credential.scopes, scope):
        return
    if credential.is_server or scope in USER_SCOPES:
        raise Forbidden(f"this key lacks the scope {scope!a}", code="missing_scope", scope=scope)
    raise Forbidden("only a server key may do this; an end-user token may not", code="server_key_required")


def ensure_server(request: Request) -> None:
    """Raise Forbidden where not a server key asks, for what one user may not do for others."""
    if not credential_from(request).is_server:
        raise Forbidden("only a server key may do this; an end-user token may not", code="server_key_required")


def bearer_of(request: HttpRequest) -> Credential | None:
    """What the Authorization header proves, None where it names no bearer; raises what `credential_of` raises."""
    scheme, _, secret = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret:
        return None
    credential = credential_of(secret, origin=origin_of(request), address=address_of(request))
    request.META[KNOWN_CALLER] = True
    return credential


def credential_of(secret: str, *, origin: str | None = None, address: str | None = None) -> Credential:
    """Check a key or token that came from an address; what does not hold is counted there.

    A token is checked whoever sends it: no signature is found by trying, checking one asks no database, and the users
    of one proxy must not be locked out by one of them. Its failures count all the same.

    Raises
    ------
    AuthenticationFailed
        It does not hold; answered with 401.
    TooManyRequests
        Too much from this address did not hold lately; then unknown keys are not checked, nor failures explained.
    Forbidden
        It is a publishable key, and the page is not one of those it lists.
    """
    if address is None:
        return _checked(secret, origin)
    if secret.startswith(api_keys.PREFIXES) and api_keys.digest_of(secret) not in _known:
        guessing.refuse(address)
    try:
        return _checked(secret, origin)
    except exceptions.AuthenticationFailed as error:
        # A token that was good once is no guess.
        if error.get_codes() != "token_expired":
            guessing.refuse(address)
            guessing.note(address)
        raise


def _checked(secret: str, origin: str | None) -> Credential:
    if not secret.startswith(api_keys.PREFIXES):
        try:
            return Credential("user", client_tokens.verify(secret, now=timezone.now()), USER_SCOPES)
        except client_tokens.InvalidToken as error:
            raise exceptions.AuthenticationFailed(str(error), error.code) from None
    key = _key_in_force(secret)
    if key is None:
        raise exceptions.AuthenticationFailed("the key is unknown, expired or revoked", "invalid_key")
    if key.kind == ApiKey.Kind.SERVER:
        return Credential("server", None, frozenset(key.scopes), key.pk)
    if origin not in key.origins:
        raise Forbidden(f"this key does not serve the origin {show(origin)}", code="forbidden_origin")
    return Credential("publishable", None, frozenset(key.scopes), key.pk)


def origin_of(request: HttpRequest) -> str | None:
    """The origin of the page that sends a request, as its browser says; None where nothing says so."""
    origin = request.headers.get("Origin")
    if origin is None and request.headers.get("Sec-Fetch-Site") == "same-origin":
        # Browsers leave it out when a page reads from its own host.
        return f"{request.scheme}://{request.get_host()}"
    return origin


def address_of(request: HttpRequest) -> str:
    """The address a request comes from, as far as proxies are trusted."""
    return client_address(request.META, hops=settings.TRUSTED_PROXY_HOPS)


def page_origins() -> frozenset[str]:
    """The origins that publishable keys in force list; remembered for as long as keys are.

    While the database is away nothing is allowed that was not allowed before.
    """
    known = _origins[-1] if _origins else (float("-inf"), frozenset())
    if time.monotonic() - known[0] > CACHE_S:
        try:
            known = (time.monotonic(), api_keys.allowed_origins(now=timezone.now()))
        except Error:
            return known[1]
        _origins[:] = [known]
    return known[1]


def credential_from(request: Request) -> Credential:
    """What an authenticated request proved."""
    assert isinstance(request.auth, Credential), "the view lacks a permission of require_scope"
    return request.auth


def acting_user(request: Request, claimed: str | None) -> str:
    """The user a request is about: the token's own, or the one a key names.

    Raises
    ------
    Forbidden
        A user token names another user, or a publishable key one that is no device (`forbidden_user`).
    InvalidRequest
        A key names no user, or one that cannot be an id.
    """
    credential = credential_from(request)
    if credential.user_id is not None:
        if claimed is not None and claimed != credential.user_id:
            message = f"this token speaks for {show(credential.user_id)}, not for {show(claimed)}"
            raise Forbidden(message, code="forbidden_user", user_id=claimed[:MAX_ID_CHARS])
        return credential.user_id
    if not claimed:
        raise InvalidRequest("user_id is required with a key", code="missing_field", field="user_id")
    if credential.kind == "publishable" and not is_anonymous(claimed):
        message = f"a publishable key speaks for anon:<device id>, not for {show(claimed)}"
        raise Forbidden(message, code="forbidden_user", user_id=claimed[:MAX_ID_CHARS])
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
    _origins.clear()
    guessing.forget()


def _key_in_force(secret: str) -> ApiKey | None:
    digest = api_keys.digest_of(secret)
    checked_at, key = _known.get(digest, (float("-inf"), None))
    now = timezone.now()
    if key is None or time.monotonic() - checked_at > CACHE_S:
        asked_at = time.monotonic()
        key = api_keys.find_key(secret)
        if key is None:
            # Unknown keys are not remembered: guesses would fill the memory.
            _known.pop(digest, None)
            return None
        _known[digest] = (asked_at, key)
        if api_keys.is_valid(key, now=now):
            api_keys.note_use(key, now=now)
    return key if api_keys.is_valid(key, now=now) else None
