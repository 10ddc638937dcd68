"""Tokens of the host app: every way in which one must not hold."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta

import jwt
import pytest
from django.core.exceptions import ImproperlyConfigured

from events import host_tokens
from events.client_tokens import InvalidToken, mint, verify
from tests.events.conftest import NOW

pytest.importorskip("cryptography")
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

PRIVATE = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
}
SECONDS = int(NOW.timestamp())


def public_pem(key):
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


@pytest.fixture(autouse=True)
def host(settings):
    settings.JWT_PUBLIC_KEYS = {name.lower(): public_pem(key) for name, key in PRIVATE.items()}
    settings.JWT_ISSUER, settings.JWT_AUDIENCE = "https://app.example.com", "recsys"


def issued(algorithm="EdDSA", *, key=None, kid=None, **changes):
    claims = {
        "iss": "https://app.example.com", "aud": "recsys", "sub": "u1", "iat": SECONDS, "exp": SECONDS + 600, **changes,
    }  # fmt: skip
    claims = {name: value for name, value in claims.items() if value is not None}
    headers = {"kid": algorithm.lower() if kid is None else kid}
    return jwt.encode(claims, key or PRIVATE[algorithm], algorithm=algorithm, headers=headers)


def by_hand(header, claims, secret):
    """A token no library would make."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signature = hmac.digest(secret, b".".join(parts), hashlib.sha256) if secret else b""
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


@pytest.mark.parametrize("algorithm", PRIVATE)
def test_a_token_signed_by_the_host_app_names_its_user(algorithm):
    assert verify(issued(algorithm), now=NOW) == "u1"


@pytest.mark.parametrize("kid", [name.lower() for name in PRIVATE])
def test_a_public_key_is_no_shared_secret(settings, kid):
    claims = {"iss": "https://app.example.com", "aud": "recsys", "sub": "u1", "iat": SECONDS, "exp": SECONDS + 600}
    for algorithm, secret in (("HS256", settings.JWT_PUBLIC_KEYS[kid].encode()), ("none", b""), ("None", b"")):
        with pytest.raises(InvalidToken):
            verify(by_hand({"alg": algorithm, "typ": "JWT", "kid": kid}, claims, secret), now=NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "other"}, {"aud": None}, {"iss": "other"}, {"iss": None}, {"sub": None}, {"sub": 7}, {"sub": ["u1"]},
        {"sub": {"id": "u1"}}, {"sub": ""}, {"sub": "a\u0000b"}, {"exp": None}, {"exp": SECONDS + 10 * 365 * 86_400},
        {"exp": "soon"}, {"exp": SECONDS + 600.5}, {"iat": None}, {"iat": True}, {"nbf": SECONDS + 120},
        {"nbf": "now"}, {"pad": "x" * 10_240},
    ],
)  # fmt: skip
def test_wrong_claims_are_refused(changes):
    if isinstance(changes.get("sub", ""), str):
        token = issued(**changes)
    else:
        payload = json.dumps({"iss": "https://app.example.com", "aud": "recsys", "iat": SECONDS,
                              "exp": SECONDS + 600, **changes}).encode()  # fmt: skip
        token = jwt.PyJWS().encode(payload, PRIVATE["EdDSA"], "EdDSA", {"kid": "eddsa"})
    with pytest.raises(InvalidToken):
        verify(token, now=NOW)


@pytest.mark.parametrize("kid", ["unknown", "../../etc/passwd", "' OR 1=1 --", "", "EdDSA", "x" * 1000])
def test_a_kid_that_names_no_key_is_refused(kid):
    with pytest.raises(InvalidToken):
        verify(issued(kid=kid), now=NOW)


@pytest.mark.parametrize("kid", [7, ["eddsa"], {"a": 1}, None])
def test_a_kid_that_is_no_text_is_refused(kid):
    claims = {"iss": "https://app.example.com", "aud": "recsys", "sub": "u1", "iat": SECONDS, "exp": SECONDS + 600}
    with pytest.raises(InvalidToken):
        verify(by_hand({"alg": "HS256", "kid": kid}, claims, b"k" * 32), now=NOW)


def test_the_key_of_another_kid_signs_nothing():
    with pytest.raises(InvalidToken):
        verify(issued("EdDSA", kid="rs256"), now=NOW)
    with pytest.raises(InvalidToken):
        verify(issued("EdDSA", key=ed25519.Ed25519PrivateKey.generate()), now=NOW)
    with pytest.raises(InvalidToken):
        verify(jwt.encode({"sub": "u1"}, PRIVATE["RS256"], "RS512", {"kid": "rs256"}), now=NOW)


@pytest.mark.parametrize(("skew_s", "holds"), [(-120, False), (-59, True), (0, True), (59, True), (120, False)])
def test_the_hosts_clock_may_be_a_minute_off(skew_s, holds):
    ahead, ended = (
        issued(iat=SECONDS + skew_s, exp=SECONDS + skew_s + 600),
        issued(iat=SECONDS - 600, exp=SECONDS + skew_s),
    )
    for token in (ahead, issued(nbf=SECONDS + skew_s)) if skew_s > 0 else (ended,):
        if holds:
            assert verify(token, now=NOW) == "u1"
        else:
            with pytest.raises(InvalidToken):
                verify(token, now=NOW)


def test_a_token_of_this_server_needs_no_host(settings):
    settings.JWT_PUBLIC_KEYS = {}
    assert verify(mint("u1", now=NOW)[0], now=NOW + timedelta(minutes=1)) == "u1"
    with pytest.raises(InvalidToken):
        verify(issued(), now=NOW)


@pytest.mark.parametrize("kind", ["private", "small", "curve", "garbage", "ed448"])
def test_a_key_that_must_not_be_used_is_refused_at_first_sight(settings, kind):
    private = PRIVATE["RS256"].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = {
        "private": private.decode(),
        "small": public_pem(rsa.generate_private_key(65537, 1024)),
        "curve": public_pem(ec.generate_private_key(ec.SECP384R1())),
        "garbage": "hello",
        "ed448": public_pem(ed448.Ed448PrivateKey.generate()),
    }[kind]
    settings.JWT_PUBLIC_KEYS = {"k": pem}
    with pytest.raises(ImproperlyConfigured, match="'k'"):
        host_tokens.decode(issued(kid="k"), kid="k")
