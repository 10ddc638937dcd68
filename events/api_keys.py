"""Keys of the host app: made, looked up, rotated and revoked. The secret is shown once; the database knows its SHA-256.

A server key (`sk_`) may act for any user within its scopes. A publishable key (`pk_`) stands in pages that everybody
can read: it sends events and reads feeds of devices nobody has logged in on, from the origins it lists.

Both end in a checksum, so that a mistyped or guessed key is refused without asking the database, and a leaked one can
be told from noise.
"""

import base64
import hashlib
import hmac
import os
import re
import secrets
import tempfile
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from events.models import ApiKey
from events.scopes import PUBLISHABLE_SCOPES, SERVER_SCOPES

SERVER_PREFIX: Final = "sk_"
PUBLISHABLE_PREFIX: Final = "pk_"
PREFIXES: Final = (SERVER_PREFIX, PUBLISHABLE_PREFIX)
CHECKSUM_CHARS: Final = 6
SECRET_CHARS: Final = len(SERVER_PREFIX) + 43 + CHECKSUM_CHARS
SHOWN_CHARS: Final = 10
DEMO_KEY_FILE: Final = "demo-server-key"
# After a rotation, old and new both hold for so long: time to bring the new one to every server.
ROTATION_GRACE: Final = timedelta(days=1)
USED_EVERY: Final = timedelta(minutes=1)
_ORIGIN = re.compile(r"https?://(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


class InvalidKey(ValueError):
    """A key that cannot be made; the message names what is wrong with it, `field` where."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


def create_key(
    name: str,
    *,
    kind: str = ApiKey.Kind.SERVER,
    scopes: Collection[str] | None = None,
    origins: Collection[str] = (),
    expires_at: datetime | None = None,
) -> tuple[int, str]:
    """Make a key; returns the id of its row and the secret, which nobody can read again.

    Without `scopes` it may do everything that its kind can.

    Raises
    ------
    InvalidKey
        Unknown scopes, scopes beyond the kind, or origins that are none (or are missing for a publishable key).
    """
    granted = check_rights(kind, scopes, origins)
    prefix = SERVER_PREFIX if kind == ApiKey.Kind.SERVER else PUBLISHABLE_PREFIX
    body = prefix + secrets.token_urlsafe(32)
    secret = body + _checksum(body)
    return _keep(secret, name, kind, granted, origins, expires_at).pk, secret


def check_rights(kind: str, scopes: Collection[str] | None, origins: Collection[str]) -> frozenset[str]:
    """The scopes that a key of these rights gets; raises InvalidKey where there can be no such key."""
    may = SERVER_SCOPES if kind == ApiKey.Kind.SERVER else PUBLISHABLE_SCOPES
    granted = may if scopes is None else frozenset(scopes)
    if not granted or granted - may:
        allowed = ", ".join(sorted(may))
        raise InvalidKey(f"scopes of a {kind} key must be some of {allowed}; got {sorted(granted)}", field="scopes")
    if kind == ApiKey.Kind.PUBLISHABLE and not origins:
        raise InvalidKey("a publishable key must list the origins of the pages that use it", field="origins")
    wrong = [origin for origin in origins if not is_origin(origin)]
    if wrong:
        message = f"an origin looks like https://app.example.com, without a path; got {wrong[0]!r}"
        raise InvalidKey(message, field="origins")
    return granted


def rotate(key_id: int, *, now: datetime, grace: timedelta = ROTATION_GRACE) -> tuple[int, str]:
    """Make the successor of a key, with the same rights; the old one ends after `grace`, or when it would anyway.

    Raises
    ------
    InvalidKey
        The key does not hold any more.
    """
    with transaction.atomic():
        old = ApiKey.objects.select_for_update().get(pk=key_id)
        if not is_valid(old, now=now):
            raise InvalidKey("a key that does not hold any more has no successor")
        made = create_key(old.name, kind=old.kind, scopes=old.scopes, origins=old.origins)
        old.expires_at = min(old.expires_at or now + grace, now + grace)
        old.save(update_fields=["expires_at"])
    return made


def revoke(key_id: int, *, now: datetime) -> bool:
    """End a key; True when it was in force. Other processes may accept it for a few seconds (`authentication`)."""
    return ApiKey.objects.filter(pk=key_id, revoked_at=None).update(revoked_at=now) > 0


def find_key(secret: str) -> ApiKey | None:
    """The row of a secret, revoked and expired ones included. Served by the unique index on the digest."""
    return ApiKey.objects.filter(digest=digest_of(secret)).first() if is_well_formed(secret) else None


def is_valid(key: ApiKey, *, now: datetime) -> bool:
    """Whether a key is in force."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


def note_use(key: ApiKey, *, now: datetime) -> None:
    """Remember that a key was used, at most once a minute."""
    if key.last_used_at is None or key.last_used_at < now - USED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USED_EVERY)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)


def is_well_formed(secret: str) -> bool:
    """Whether a text could be a key at all: prefix, length and checksum."""
    if not (secret.isascii() and len(secret) == SECRET_CHARS and secret.startswith(PREFIXES)):
        return False
    return hmac.compare_digest(_checksum(secret[:-CHECKSUM_CHARS]), secret[-CHECKSUM_CHARS:])


def is_origin(text: str) -> bool:
    """Whether a text is an origin as browsers send it: scheme, host, perhaps a port, nothing else.

    >>> is_origin("https://app.example.com"), is_origin("https://app.example.com/"), is_origin("*"), is_origin("null")
    (True, False, False, False)
    """
    return _ORIGIN.fullmatch(text) is not None


def allowed_origins(*, now: datetime) -> frozenset[str]:
    """The origins of all publishable keys in force."""
    keys = ApiKey.objects.filter(kind=ApiKey.Kind.PUBLISHABLE, revoked_at=None)
    return frozenset(origin for key in keys if is_valid(key, now=now) for origin in key.origins)


def digest_of(secret: str) -> str:
    """SHA-256 of a secret as hex digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def ensure_demo_key(var_dir: Path) -> str:
    """The server key of a local installation, kept in a file of the owner's so that it can be printed again.

    A fresh database gets the key that the file already holds; a revoked key is replaced by a new one.
    """
    path = Path(var_dir) / DEMO_KEY_FILE
    try:
        secret = path.read_text().strip()
    except FileNotFoundError:
        secret = ""
    if secret.startswith(SERVER_PREFIX) and is_well_formed(secret):
        key = find_key(secret)
        if key is None:
            _keep(secret, "demo", ApiKey.Kind.SERVER, SERVER_SCOPES, (), None)
            return secret
        if is_valid(key, now=timezone.now()):
            return secret
    _, secret = create_key("demo")
    _write_private(path, secret)
    return secret


def _checksum(body: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body.encode()).digest()).decode()[:CHECKSUM_CHARS]


def _keep(
    secret: str,
    name: str,
    kind: str,
    scopes: Collection[str],
    origins: Collection[str],
    expires_at: datetime | None,
) -> ApiKey:
    return ApiKey.objects.create(
        name=name,
        kind=kind,
        scopes=sorted(scopes),
        origins=sorted(set(origins)),
        prefix=secret[:SHOWN_CHARS],
        digest=digest_of(secret),
        expires_at=expires_at,
    )


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, scratch = tempfile.mkstemp(dir=path.parent)  # created with mode 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    Path(scratch).replace(path)
