"""Cursors: where a walk through the feed stands, signed, so that nobody can make one up.

A request without a cursor begins a walk, whose id is that of its first page. A cursor names the walk and a page of it,
and the page's id follows from the two. So whoever comes with the same cursor finds the page it led to before, and two
that come at once make the same page: its id is unique in the log.

It says nothing that its owner does not know. User and parameters are in it as a short keyed digest, and unusual
parameters as they are, so that the next page needs the cursor alone. The last positions of the walk are in it as marks,
32 bits each, by which the log's ids of the walk are put in order: the log is read anyway, but has them without one.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.core import signing
from django.utils.crypto import salted_hmac

from events.errors import InvalidRequest

LIFETIME: Final = timedelta(hours=2)
MAX_STATED: Final = 1_200
"""Characters of parameters that a cursor carries at most; a walk by longer ones names them with every page."""
MAX_CHARS: Final = 2_400
MAX_PAGE: Final = 1_000_000
RECENT: Final = 9
"""Positions before a page that its caps count: one less than the longest window, see `rerank.mix.MixRules`."""
_MARK_CHARS: Final = 8
_SALT: Final = "ranking.cursors"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Page `page` of a walk, 0 for its first.

    `binding` digests whose walk it is and by which parameters; `stated` is what parameters were not the usual ones,
    None where they are too long to be carried. `recent` marks the last positions before the page, oldest first.
    """

    walk: UUID
    page: int
    binding: str
    stated: Mapping[str, Any] | None = field(default_factory=dict)
    recent: str = ""

    @property
    def request_id(self) -> UUID:
        """The id of the page: the walk's own for the first, then one that follows from walk and number."""
        if self.page == 0:
            return self.walk
        digest = hashlib.blake2b(self.walk.bytes + self.page.to_bytes(8, "big"), digest_size=16).digest()
        return UUID(bytes=digest, version=4)

    def after(self, shown: Iterable[str]) -> "Cursor":
        """The page behind this one, which showed some content ids in this order."""
        marks = self.recent + "".join(map(mark_of, shown))
        return Cursor(self.walk, self.page + 1, self.binding, self.stated, marks[-RECENT * _MARK_CHARS :])

    def recall(self, walked: Iterable[str]) -> tuple[str, ...]:
        """The last positions before the page, oldest first, out of what the walk delivered; "" for what that lacks."""
        if not self.recent:
            return ()
        known = {mark_of(each): each for each in walked}
        starts = range(0, len(self.recent), _MARK_CHARS)
        return tuple(known.get(self.recent[start : start + _MARK_CHARS], "") for start in starts)


def mark_of(content_id: str) -> str:
    """Eight characters that tell the contents of one walk apart.

    >>> mark_of("clip-001")
    '59d24447'
    """
    return f"{zlib.crc32(content_id.encode()):08x}"


def binding_of(user_id: str, parameters: Mapping[str, Any]) -> str:
    """A digest of whose walk it is and by which parameters."""
    facts = json.dumps([user_id, sorted(parameters.items())], default=str)
    return salted_hmac(_SALT, facts, algorithm="sha256").hexdigest()[:16]


def sign(cursor: Cursor, *, served_at: datetime) -> str:
    """The cursor as text; it ends `LIFETIME` after the page that carries it was made."""
    ends = int(end_of(served_at).timestamp())
    content: list[Any] = [cursor.walk.hex, cursor.page, cursor.binding, ends]
    if cursor.recent:
        content.append(cursor.recent)
    if cursor.stated:
        content.append(cursor.stated if len(json.dumps(cursor.stated)) <= MAX_STATED else None)
    return signing.Signer(salt=_SALT).sign_object(content)


def end_of(served_at: datetime) -> datetime:
    """Until when the cursor of a page is good."""
    return served_at + LIFETIME


def read(text: str, *, binding: str, now: datetime) -> Cursor:
    """The cursor in a text.

    Raises
    ------
    InvalidRequest
        `cursor_mismatch` where it belongs to another user or to other parameters, else as `opened`.
    """
    cursor = opened(text, now=now)
    if cursor.binding != binding:
        message = "cursor belongs to another user or to other parameters; only exclude_ids and explain may change"
        raise InvalidRequest(message, code="cursor_mismatch", field="cursor")
    return cursor


def opened(text: str, *, now: datetime) -> Cursor:
    """The cursor in a text, whosever it is.

    Raises
    ------
    InvalidRequest
        `invalid_cursor` where it was not made here, or `cursor_expired`.
    """
    try:
        if len(text) > MAX_CHARS:
            raise signing.BadSignature
        walk, page, binding, ends, *rest = signing.Signer(salt=_SALT).unsign_object(text)
    # What is not signed here may be anything, base64 and JSON that do not decode included.
    except (signing.BadSignature, ValueError):
        message = f"cursor was not made by this server, or was changed: {text[:40]!a}"
        raise InvalidRequest(message, code="invalid_cursor", field="cursor") from None
    if now.timestamp() > ends:
        message = f"cursor ended {int(now.timestamp() - ends)} s ago; ask without one to start anew"
        raise InvalidRequest(message, code="cursor_expired", field="cursor")
    recent = rest.pop(0) if rest and isinstance(rest[0], str) else ""
    return Cursor(UUID(hex=walk), page, binding, rest[0] if rest else {}, recent)
