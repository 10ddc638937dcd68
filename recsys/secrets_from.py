"""Secrets out of the environment or of files, and what may not go into production.

`NAME_FILE` names a file that holds the value of `NAME`, as container platforms hand over secrets. Nothing here reads
the process environment by itself.
"""

import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

NAMES: Final = ("SECRET_KEY", "DATABASE_URL", "CELERY_BROKER_URL", "METRICS_TOKEN", "EMAIL_HOST_PASSWORD")
SHORTEST_KEY: Final = 50
SHORTEST_PASSWORD: Final = 12
# What examples say where a person has to put something, and what servers and tutorials ship with.
_PLACEHOLDER: Final = re.compile(r"change[-_ ]?me|replace[-_ ]?me|example|django-insecure|<[^>]*>", re.IGNORECASE)
_COMMON: Final = frozenset({"", "postgres", "recsys", "password", "secret", "guest", "admin", "redis", "rabbitmq"})


class SecretError(ValueError):
    """A secret that cannot be read; the message names the variable."""


def take_from_files(environ: MutableMapping[str, str]) -> None:
    """Set every secret that only `NAME_FILE` gives.

    Raises
    ------
    SecretError : for a file that cannot be read, and where both are set and one would be ignored
    """
    for name in NAMES:
        path = environ.get(f"{name}_FILE")
        if not path:
            continue
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            raise SecretError(f"{name}_FILE names {path!r}, which cannot be read: {error}") from error
        if environ.get(name, value) != value:
            raise SecretError(f"{name} and {name}_FILE are both set and differ: leave one out")
        environ[name] = value


def faults(environ: Mapping[str, str], *, embedded: bool) -> list[str]:
    """Why these secrets must not go into production, one sentence each; no sentence repeats a secret.

    `embedded` says that the database is the embedded one: then keys and passwords that are not set were made at
    random, for this installation.

    >>> faults({"SECRET_KEY": "change-me"}, embedded=True)
    ['SECRET_KEY is still a placeholder']
    >>> faults({}, embedded=False)[0]
    'SECRET_KEY is not set: every host would make one of its own'
    """
    found = []
    key = environ.get("SECRET_KEY", "")
    if not key and not embedded:
        found.append("SECRET_KEY is not set: every host would make one of its own")
    found += [
        f"{name} is still a placeholder"
        for name in NAMES
        if _PLACEHOLDER.search(_secret_part(name, environ.get(name, "")))
    ]
    if key and not found and (len(key) < SHORTEST_KEY or len(set(key)) < SHORTEST_KEY // 8):
        found.append(f"SECRET_KEY is easy to guess: it needs {SHORTEST_KEY} characters of a random generator")
    token = environ.get("METRICS_TOKEN", "")
    if token and len(token) < SHORTEST_PASSWORD:
        found.append(f"METRICS_TOKEN is easy to guess: it needs at least {SHORTEST_PASSWORD} characters")
    found += [fault for name in ("DATABASE_URL", "CELERY_BROKER_URL") if (fault := _weak_url(name, environ))]
    return found


def _weak_url(name: str, environ: Mapping[str, str]) -> str | None:
    """A server that others can reach has a password of its own; a socket or this machine may do without."""
    url = environ.get(name, "")
    if not url:
        return None
    parts = urlsplit(url)
    password = unquote(parts.password or "")
    if not password and (parts.hostname or "") in {"", "127.0.0.1", "localhost", "::1"}:
        return None
    if password.lower() in _COMMON or password == unquote(parts.username or ""):
        return f"the password in {name} is missing or a well-known one"
    return None


def _secret_part(name: str, value: str) -> str:
    """Of a URL only the password: a host may be called as it likes."""
    return unquote(urlsplit(value).password or "") if name.endswith("_URL") else value
