"""What the API description says of the feed: the rules, every code of a refusal, and examples."""

from collections.abc import Mapping
from typing import Any, Final

from drf_spectacular.utils import OpenApiExample

CODES: Final[Mapping[str, str]] = {
    "invalid_<parameter>": "400: the value of a parameter; `details.field` names it",
    "unknown_parameter": "400: there is no parameter of this name",
    "missing_parameter": "400: the surface needs a parameter that is not there",
    "unknown_content": "400: `seed_content_id` names no content that is shown",
    "invalid_cursor": "400: the cursor was not made here, or was changed",
    "cursor_expired": "400: the cursor is too old, or its walk was handed on or erased; begin a new walk",
    "cursor_mismatch": "400: the cursor is another user's, or its walk had other parameters",
    "invalid_request": "400: anything else that cannot be understood, such as an impossible user id",
    "parse_error": "400: with POST, a body that is no JSON",
    "length_required": "411: with POST, a body of unknown length",
    "body_too_large": "413: with POST, a body that is too long",
    "unsupported_media_type": "415: with POST, a body of another type",
    "unsupported_encoding": "415: with POST, a body packed with anything but gzip",
    "unauthorized": "401: no credential",
    "invalid_key": "401: a key nobody made, or that was revoked",
    "invalid_token": "401: a token nobody made, or that was changed",
    "token_expired": "401: the token is too old; ask the host app for a new one",
    "forbidden": "403: the credential has no `feed:read`",
    "forbidden_user": "403: the token is another user's",
    "too_many_requests": "429: too many requests by this caller; see Retry-After",
    "overloaded": "503: too many feeds in work; see Retry-After",
    "unavailable": "503: the database cannot be reached; see Retry-After",
}
"""Every code a refusal of the feed can have."""

_RULES: Final = """
The next page for one user, best first. Every event changes the very next page.

Walk through the feed by `next_cursor`; asking without a cursor begins a new walk, as a refresh does, and so does a
client whose walk ended (`next_cursor` is null). `/feed/next` needs the cursor alone. A walk never repeats what it
delivered. Nothing that another walk delivered, on whatever device, comes again while two pages of contents are left
that never were on a page; then what the user has not met is offered again. What they have met (any event about it, also
a swipe within the first second) comes only when nothing else is left, longest ago first (`repeats` says so). What they
hid or reported never does.

Whether an item may be shown is asked of the database for every page: moderation, age, country, language, blocked and
muted creators, muted categories, and whether the user's preferences welcome what is labelled as sensitive
(`sensitive_content`; nobody is shown it who has not said so). An age or a country that is not known hides what is
limited by it, and a label that nobody understands hides as the label it might be.

`fallback_level` names what ordered the page: `ranked` (the trained model), `light` (no model yet, or it failed, or the
time was up), `trending`, or `latest` (newest uploads). When too many feeds are in work the answer is 503 `overloaded`
with Retry-After.

An error is `{"error": {"code", "message", "details"}}` with one of these codes:
"""
DESCRIPTION: Final = _RULES + "\n".join(f"- `{code}`: {meaning}" for code, meaning in CODES.items())

NEXT_DESCRIPTION: Final = (
    "The page that `next_cursor` leads to. The cursor carries the walk's parameters, so it is enough; the rules, codes "
    "and the answer are those of `/feed`. The same cursor always gives the same page. A walk whose filter, boost and "
    "lists are longer than a cursor carries is refused here with `missing_parameter`; `/feed` continues it, by all of "
    "its parameters and the cursor."
)
BODY_EXAMPLE: Final = OpenApiExample(
    "Short clips of the sea, new ones first",
    request_only=True,
    value={
        "user_id": "mia",
        "limit": 10,
        "exclude_ids": ["clip-17"],
        "filter": 'category = "ocean" and duration_s <= 30',
        "boost": "age_h < 24 => 0.5",
    },
)

_ITEM: Final[Mapping[str, Any]] = {
    "content_id": "clip-17",
    "position": 0,
    "source": "sequential",
    "sources": ["sequential", "popular"],
    "score": 2.41,
    "model_version": "ranker-20261120T180000-1c2d3e4f",
    "content": {
        "creator_id": "mara",
        "caption": "Low tide, last light",
        "tags": ["sea", "calm"],
        "category": "ocean",
        "duration_s": 7.5,
        "language": "en",
        "media_url": "/media/demo/ocean-03.mp4",
        "thumbnail_url": "/media/demo/ocean-03.webp",
    },
}
_PAGE: Final[Mapping[str, Any]] = {
    "request_id": "0f1f7b8e-6f5f-4d0e-9d0a-4b1f5e2d9c11",
    "items": [_ITEM],
    "model_version": "ranker-20261120T180000-1c2d3e4f",
    "fallback_level": "ranked",
    "repeats": False,
    "has_more": True,
    "expires_at": "2026-11-20T20:00:00Z",
    "next_cursor": "WyIwZjFmN2I4ZTZmNWY0ZDBlOWQwYTRiMWY1ZTJkOWMxMSIsMSwiYTNmIiwxNzk1NTk1NjQzXQ:6cNn8...",
    "took_ms": 6.3,
}
_EXPLANATION: Final[Mapping[str, Any]] = {
    "sentence": "Because you watched or liked “Low tide, last light”.",
    "ranks": {"sequential": 3, "popular": 41},
    "propensity": 0.9,
    "moves": [{"stage": "assemble", "start": 4, "end": 0, "reason": "diversity"}],
    "heads": {"long_view": 0.61, "watch_s": 6.2},
    "terms": {"watch": 5.1, "like": 0.4},
    "signals": {"model": 1.1, "category": 0.9, "popularity": 0.41},
    "weights": "3/regular",
}


def _page(name: str, **changes: Any) -> OpenApiExample:
    return OpenApiExample(name, response_only=True, status_codes=["200"], value={**_PAGE, **changes})


def _refusal(name: str, status: str, code: str, message: str, details: Mapping[str, Any]) -> OpenApiExample:
    error = {"code": code, "message": message, "details": dict(details)}
    return OpenApiExample(name, response_only=True, status_codes=[status], value={"error": error})


EXAMPLES: Final = [
    _page("A page of one"),
    _page("Explained", items=[{**_ITEM, "explanation": _EXPLANATION}]),
    _page("The last page of a walk", has_more=False, next_cursor=None, expires_at=None),
    _refusal(
        "A value that is none", "400", "invalid_limit", "limit must be a whole number from 1 to 50; got '51'",
        {"field": "limit"},
    ),
    _refusal(
        "A cursor of yesterday", "400", "cursor_expired", "cursor ended 4210 s ago; ask without one to start anew",
        {"field": "cursor"},
    ),
    _refusal(
        "Too many at once", "503", "overloaded", "12 feeds are in work here, which is all at once; ask again in 1 s",
        {"limit": 12, "retry_after_s": 1},
    ),
]  # fmt: skip
