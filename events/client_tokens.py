"""End-user tokens: short-lived JWTs that a host app's server mints for the browser or phone of one user.

A token speaks for one user only and cannot be revoked, so it lives an hour at most. Those minted here carry no `kid`
and are signed with a key derived from SECRET_KEY for this purpose alone: nothing else that is signed here can pass for
one. Those with a `kid` come from the host app (`host_tokens`), whose clock may differ a little.
"""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
from django.conf import settings

from events import host_tokens
from events.cleaning.schema import MAX_ID_CHARS, InvalidEvent, check_text

ALGORITHM: Final = "HS256"
ISSUER: Final = "recsys"
AUDIENCE: Final = "recsys-client"
MAX_TTL_S: Final = 3600
MAX_TOKEN_CHARS: Final = 4096
# Clocks of several hosts may differ a little; a token from further ahead was not minted by one of them.
CLOCK_SKEW = timedelta(seconds=60)


class InvalidToken(ValueError):
    """A token that is refused; `code` is `invalid_token` or `token_expired`."""

    def __init__(self, message: str, code: str = "invalid_token") -> None:
        super().__init__(message)
        self.code = code


def mint(user_id: str, *, now: datetime, ttl_s: int = MAX_TTL_S) -> tuple[str, datetime]:
    """A token for one user and the moment at which it ends."""
    if not 1 <= ttl_s <= MAX_TTL_S:
        raise ValueError(f"ttl_s must lie between 1 and {MAX_TTL_S} seconds; got {ttl_s}")
    issued_at = int(now.timestamp())
    expires_at = issued_at + ttl_s
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": user_id, "iat": issued_at, "exp": expires_at}
    return jwt.encode(claims, _signing_key(), algorithm=ALGORITHM), datetime.fromtimestamp(expires_at, UTC)


def verify(token: str, *, now: datetime) -> str:
    """The user a token speaks for; raises InvalidToken where it does not hold."""
    if len(token) > MAX_TOKEN_CHARS:
        raise InvalidToken(f"the token is longer than {MAX_TOKEN_CHARS} characters")
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        claims = _decode_own(token) if kid is None else host_tokens.decode(token, kid=kid)
    except (jwt.InvalidTokenError, ValueError, TypeError) as error:
        raise InvalidToken(f"the token does not hold: {error}") from None
    # Tokens of this server were dated by its own clock.
    _check_times(claims, now, leeway_s=0.0 if kid is None else CLOCK_SKEW.total_seconds())
    return _subject(claims["sub"])


def _decode_own(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token,
        _signing_key(),
        algorithms=[ALGORITHM],
        audience=AUDIENCE,
        issuer=ISSUER,
        # The times are compared with `now` elsewhere: a library that calls the clock itself cannot be tested.
        options={
            "require": ["iss", "aud", "sub", "iat", "exp"],
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
        },
    )
    return claims


def _check_times(claims: dict[str, Any], now: datetime, *, leeway_s: float) -> None:
    issued_at, expires_at = claims["iat"], claims["exp"]
    not_before = claims.get("nbf", issued_at)
    times = (issued_at, expires_at, not_before)
    if not all(isinstance(time, int) and not isinstance(time, bool) for time in times):
        raise InvalidToken("the token's iat, nbf and exp must be whole seconds")
    seconds = now.timestamp()
    if expires_at + leeway_s <= seconds:
        raise InvalidToken("the token has expired", "token_expired")
    if max(issued_at, not_before) > seconds + CLOCK_SKEW.total_seconds():
        raise InvalidToken("the token was issued in the future")
    if expires_at - issued_at > MAX_TTL_S:
        raise InvalidToken(f"the token lives longer than {MAX_TTL_S} seconds")


def _subject(user_id: Any) -> str:
    if not isinstance(user_id, str) or not 1 <= len(user_id) <= MAX_ID_CHARS:
        raise InvalidToken("the token's sub is no user id")
    try:
        return check_text(user_id, field="sub")
    except InvalidEvent as error:
        raise InvalidToken(error.detail) from None


def _signing_key() -> bytes:
    return hmac.digest(str(settings.SECRET_KEY).encode(), b"recsys end-user token v1", hashlib.sha256)
