"""Tokens that the host app issues itself, checked with its public keys.

The key decides on the algorithm, never the token's header: an Ed25519 key verifies EdDSA, an RSA key RS256, a P-256 key
ES256, and a token that names another algorithm than its key's does not hold.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import jwt
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

ALGORITHMS: Final = ("EdDSA", "RS256", "ES256")
MIN_RSA_BITS: Final = 2048


def decode(token: str, *, kid: str) -> dict[str, Any]:
    """The claims of a token whose signature, issuer and audience hold; its times are not looked at.

    Raises
    ------
    jwt.InvalidTokenError
        It does not hold, or `kid` names no configured key.
    """
    # A mapping of settings that a test replaces is another key set.
    found = _prepared(tuple(sorted(settings.JWT_PUBLIC_KEYS.items()))).get(kid)
    if found is None:
        raise jwt.InvalidTokenError("its kid names no key of this server")
    algorithm, key = found
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=[algorithm],
        audience=settings.JWT_AUDIENCE,
        issuer=settings.JWT_ISSUER,
        options={
            "require": ["iss", "aud", "sub", "iat", "exp"],
            "verify_exp": False,
            "verify_iat": False,
            "verify_nbf": False,
        },
    )
    return claims


@lru_cache(maxsize=4)
def _prepared(pems: tuple[tuple[str, str], ...]) -> Mapping[str, tuple[str, Any]]:
    return {kid: _prepare(kid, pem) for kid, pem in pems}


def _prepare(kid: str, pem: str) -> tuple[str, Any]:
    """The one algorithm that a public key is for, and the key."""
    if "PRIVATE" in pem:
        raise ImproperlyConfigured(f"JWT_PUBLIC_KEYS: {kid!r} is a private key; it must stay with its owner")
    for name in ALGORITHMS:
        try:
            key = jwt.get_algorithm_by_name(name).prepare_key(pem)
        except NotImplementedError as error:
            raise ImproperlyConfigured("JWT_PUBLIC_KEYS needs the package cryptography") from error
        except (jwt.InvalidKeyError, TypeError, ValueError):
            continue
        bits = getattr(key, "key_size", None)
        curve = getattr(getattr(key, "curve", None), "name", "secp256r1")
        if name == "EdDSA" and "Ed25519" not in type(key).__name__:
            break
        if (name == "RS256" and (bits or 0) < MIN_RSA_BITS) or (name == "ES256" and curve != "secp256r1"):
            break
        return name, key
    raise ImproperlyConfigured(f"JWT_PUBLIC_KEYS: {kid!r} must be an Ed25519, RSA (2048 bits or more) or P-256 key")
