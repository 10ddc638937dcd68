"""Cursors: where a walk through the feed stands, signed, so that nobody can make one up.

A request without a cursor begins a walk, whose id is that of its first page. A cursor names the walk and a page of it,
and the page's id follows from the two. So whoever comes with the same cursor finds the page it led to before, and two
that come at once make the same page: its id is unique in the log.

It says nothing that its owner does not know; user and parameters are in it as a short keyed digest.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.core import signing
from django.utils.crypto import salted_hmac

from events.errors import InvalidRequest

LIFETIME: Final = timedelta(hours=2)
MAX_CHARS: Final = 400
MAX_PAGE: Final = 1_000_000
_SALT: Final = "ranking.cursors"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Page `page` of a walk, 0 for its first; `binding` digests whose walk it is and by which parameters."""

    walk: UUID
    page: int
    binding: str

    @property
    def request_id(self) -> UUID:
        """The id of the page: the walk's own for the first, then one that follows from walk and number."""
        if self.page == 0:
            return self.walk
        digest = hashlib.blake2b(self.walk.bytes + self.page.to_bytes(8, "big"), digest_size=16).digest()
        return UUID(bytes=digest, version=4)

    @property
    def after(self) -> "Cursor":
        """The page behind this one."""
        return Cursor(self.walk, self.page + 1, self.binding)


def binding_of(user_id: str, parameters: Mapping[str, Any]) -> str:
    """A digest of whose walk it is and by which parameters."""
    facts = json.dumps([user_id, sorted(parameters.items())], default=str)
    return salted_hmac(_SALT, facts, algorithm="sha256").hexdigest()[:16]


def sign(cursor: Cursor, *, served_at: datetime) -> str:
    """The cursor as text; it ends `LIFETIME` after the page that carries it was made."""
    ends = int((served_at + LIFETIME).timestamp())
    return signing.Signer(salt=_SALT).sign_object([cursor.walk.hex, cursor.page, cursor.binding, ends])


def read(text: str, *, binding: str, now: datetime) -> Cursor:
    """The cursor in a text.

    Raises
    ------
    InvalidRequest
        `invalid_cursor` where it was not made here, `cursor_expired`, or `cursor_mismatch` where it belongs to another
        user or to other parameters.
    """
    try:
        if len(text) > MAX_CHARS:
            raise signing.BadSignature
        walk, page, bound, ends = signing.Signer(salt=_SALT).unsign_object(text)
    # What is not signed here may be anything, base64 and JSON that do not decode included.
    except (signing.BadSignature, ValueError):
        message = f"cursor was not made by this server, or was changed: {text[:40]!a}"
        raise InvalidRequest(message, code="invalid_cursor", field="cursor") from None
    if now.timestamp() > ends:
        message = f"cursor ended {int(now.timestamp() - ends)} s ago; ask without one to start anew"
        raise InvalidRequest(message, code="cursor_expired", field="cursor")
    if bound != binding:
        message = "cursor belongs to another user or to other parameters; only exclude_ids and explain may change"
        raise InvalidRequest(message, code="cursor_mismatch", field="cursor")
    return Cursor(UUID(hex=walk), page, bound)
