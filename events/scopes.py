"""What a credential may do, as words: each API view names the one it needs (`authentication.require_scope`)."""

from typing import Final

DESCRIPTIONS: Final = {
    "events:write": "send events",
    "feed:read": "read feeds",
    "content:read": "read contents",
    "content:write": "add and replace contents",
    "users:read": "read users",
    "users:write": "add and replace users",
    "tokens:mint": "mint end-user tokens",
    "stats:read": "read the figures of contents",
    "metrics:read": "read the KPIs of the dashboards",
    "experiments:write": "set up, start, stop and ship experiments",
    "admin": "everything, also what comes later",
}
SERVER_SCOPES: Final = frozenset(DESCRIPTIONS)
# An end user acts for itself only, whatever the scope.
USER_SCOPES: Final = frozenset({"events:write", "feed:read", "content:read", "users:read", "users:write"})
PUBLISHABLE_SCOPES: Final = frozenset({"events:write", "feed:read"})


def allows(granted: frozenset[str], scope: str) -> bool:
    """Whether the granted scopes include one.

    >>> allows(frozenset({"admin"}), "feed:read"), allows(frozenset({"feed:read"}), "events:write")
    (True, False)
    """
    return scope in granted or "admin" in granted
