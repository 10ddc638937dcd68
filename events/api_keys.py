"""Server keys: made, looked up and revoked. The secret is shown once; the database knows only its SHA-256."""

import hashlib
import os
import secrets
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Final

from django.utils import timezone

from events.models import ApiKey

PREFIX: Final = "sk_"
SHOWN_CHARS: Final = 10
DEMO_KEY_FILE: Final = "demo-server-key"


def create_key(name: str, *, expires_at: datetime | None = None) -> tuple[int, str]:
    """Make a key; returns the id of its row and the secret, which nobody can read again."""
    secret = PREFIX + secrets.token_urlsafe(32)
    return _keep(secret, name, expires_at).pk, secret


def revoke(key_id: int, *, now: datetime) -> bool:
    """End a key; True when it was in force. Other processes may accept it for a few seconds (`authentication`)."""
    return ApiKey.objects.filter(pk=key_id, revoked_at=None).update(revoked_at=now) > 0


def find_key(secret: str) -> ApiKey | None:
    """The row of a secret, revoked and expired ones included. Served by the unique index on the digest."""
    return ApiKey.objects.filter(digest=digest_of(secret)).first()


def is_valid(key: ApiKey, *, now: datetime) -> bool:
    """Whether a key is in force."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


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
    if secret.startswith(PREFIX):
        key = find_key(secret)
        if key is None:
            _keep(secret, "demo", None)
            return secret
        if is_valid(key, now=timezone.now()):
            return secret
    _, secret = create_key("demo")
    _write_private(path, secret)
    return secret


def _keep(secret: str, name: str, expires_at: datetime | None) -> ApiKey:
    return ApiKey.objects.create(
        name=name, prefix=secret[:SHOWN_CHARS], digest=digest_of(secret), expires_at=expires_at
    )


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, scratch = tempfile.mkstemp(dir=path.parent)  # created with mode 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    Path(scratch).replace(path)
