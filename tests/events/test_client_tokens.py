"""End-user tokens: what holds, and every way in which one must not."""

import base64
import json
from datetime import timedelta

import jwt
import pytest

from events import client_tokens
from events.client_tokens import InvalidToken, mint, verify
from tests.events.conftest import NOW


def forged(key=None, algorithm="HS256", **changes):
    seconds = int(NOW.timestamp())
    claims = {"iss": "recsys", "aud": "recsys-client", "sub": "u1", "iat": seconds, "exp": seconds + 600, **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key or client_tokens._signing_key(), algorithm=algorithm)


def test_a_minted_token_names_its_user_until_it_ends():
    token, expires_at = mint("u1", now=NOW, ttl_s=60)
    assert expires_at == NOW + timedelta(seconds=60)
    assert verify(token, now=NOW + timedelta(seconds=59)) == "u1"
    with pytest.raises(InvalidToken) as refused:
        verify(token, now=expires_at)
    assert refused.value.code == "token_expired"


def test_the_forgery_of_these_tests_holds_when_nothing_is_wrong():
    assert verify(forged(), now=NOW) == "u1"


@pytest.mark.parametrize("ttl_s", [0, -1, 3601])
def test_a_lifetime_beyond_an_hour_is_refused(ttl_s):
    with pytest.raises(ValueError, match=str(ttl_s)):
        mint("u1", now=NOW, ttl_s=ttl_s)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "recsys"},
        {"aud": None},
        {"iss": "somebody"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\u0000b"},
        {"sub": "x" * 201},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": int(NOW.timestamp()) + 10 * 365 * 86_400},
        {"iat": None},
        {"iat": int(NOW.timestamp()) + 120},
    ],
)
def test_wrong_claims_are_refused(changes):
    with pytest.raises(InvalidToken):
        verify(forged(**changes), now=NOW)


def test_another_key_or_algorithm_is_refused():
    for token in (forged(key=b"k" * 32), forged(key=b"k" * 64, algorithm="HS512")):
        with pytest.raises(InvalidToken):
            verify(token, now=NOW)
    with pytest.raises(InvalidToken):
        verify(forged(key=client_tokens._signing_key() * 2, algorithm="HS512"), now=NOW)


def test_an_unsigned_token_is_refused():
    body = forged().split(".")[1]
    for name in ("none", "None", "NONE"):
        header = base64.urlsafe_b64encode(json.dumps({"alg": name, "typ": "JWT"}).encode()).decode().rstrip("=")
        for signature in ("", forged().split(".")[2]):
            with pytest.raises(InvalidToken):
                verify(f"{header}.{body}.{signature}", now=NOW)


def test_the_secret_key_itself_signs_no_token(settings):
    with pytest.raises(InvalidToken):
        verify(forged(key=settings.SECRET_KEY.ljust(32, "x").encode()), now=NOW)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "ü.ü.ü", "x" * 5000, "..", "\u0000"])
def test_what_is_no_token_is_refused(token):
    with pytest.raises(InvalidToken):
        verify(token, now=NOW)


def test_a_changed_secret_key_ends_all_tokens(settings):
    token, _ = mint("u1", now=NOW)
    settings.SECRET_KEY = "another-secret-key-of-a-decent-length-0123456789"
    with pytest.raises(InvalidToken):
        verify(token, now=NOW)
