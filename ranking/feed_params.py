"""The query string of a feed: each parameter checked by itself, each refusal naming its value."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from django.http import QueryDict
from drf_spectacular.utils import OpenApiExample, OpenApiParameter

from events.authentication import valid_id
from events.cleaning.audience import is_country, primary
from events.cleaning.uploads import is_language
from events.errors import InvalidRequest
from ranking.cursors import LIFETIME
from ranking.feed_request import MAX_ITEMS, SURFACES, FeedRequest

DEFAULT_LIMIT: Final = 10
MAX_EXCLUDED: Final = 200
MAX_NAMES: Final = 50
_FLAGS: Final[Mapping[str, bool]] = {"true": True, "1": True, "false": False, "0": False}
_Value = TypeVar("_Value")


def parse_feed(query: QueryDict, user_id: str) -> FeedRequest:
    """The request that a query string states; raises InvalidRequest naming the first value that is none."""
    unknown = sorted(set(query) - NAMES)
    if unknown:
        message = f"there is no parameter {unknown[0][:40]!a}"
        raise InvalidRequest(message, code="unknown_parameter", field=unknown[0][:40])
    surface = _one_of(query, "surface", SURFACES, "for_you")
    categories = frozenset(_list(query, "categories", lambda each: _id("categories", each)))
    creator_id = _optional(query, "creator_id", lambda each: _id("creator_id", each))
    for name, needed, given in (("categories", "category", categories), ("creator_id", "creator", creator_id)):
        if surface == needed and not given:
            raise InvalidRequest(f"surface {surface!a} needs {name}", code="missing_parameter", field=name)
    if creator_id is not None and surface != "creator":
        raise _refused("creator_id", creator_id, 'left out unless surface is "creator"')
    return FeedRequest(
        user_id=user_id,
        limit=_number(query, "limit", 1, MAX_ITEMS) or DEFAULT_LIMIT,
        surface=surface,
        exclude=frozenset(_list(query, "exclude_ids", lambda each: _id("exclude_ids", each), most=MAX_EXCLUDED)),
        cursor=query.get("cursor"),
        seed_content_id=_optional(query, "seed_content_id", lambda each: _id("seed_content_id", each)),
        categories=categories,
        languages=frozenset(_list(query, "languages", _language)),
        creator_id=creator_id,
        country=_optional(query, "country", _country) or "",
        diversity=_optional(query, "diversity", lambda each: _share("diversity", each)),
        exploration=_optional(query, "exploration", lambda each: _share("exploration", each)),
        max_per_creator=_number(query, "max_per_creator", 1, MAX_ITEMS),
        profiling=_flag(query, "profiling", default=True),
        explain=_flag(query, "explain", default=False),
    )


def _number(query: QueryDict, name: str, least: int, most: int) -> int | None:
    raw = query.get(name)
    if raw is None:
        return None
    # isdecimal alone would let other scripts' digits through; the length keeps int() cheap.
    if not (raw.isascii() and raw.isdecimal() and len(raw) <= 4 and least <= int(raw) <= most):
        raise _refused(name, raw, f"a whole number from {least} to {most}")
    return int(raw)


def _share(name: str, raw: str) -> float:
    try:
        value = float(raw) if len(raw) <= 20 and raw.isascii() else math.nan
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= 1.0:
        raise _refused(name, raw, "a number from 0 to 1")
    return value


def _flag(query: QueryDict, name: str, *, default: bool) -> bool:
    raw = query.get(name)
    if raw is None:
        return default
    if raw not in _FLAGS:
        raise _refused(name, raw, "true or false")
    return _FLAGS[raw]


def _one_of(query: QueryDict, name: str, allowed: tuple[str, ...], default: str) -> str:
    raw = query.get(name, default)
    if raw not in allowed:
        raise _refused(name, raw, f"one of {', '.join(allowed)}")
    return str(raw)


def _list(query: QueryDict, name: str, read: Callable[[str], _Value], *, most: int = MAX_NAMES) -> list[_Value]:
    """A parameter that may be given several times, each time with commas between its values."""
    given = [each for raw in query.getlist(name) for each in raw.split(",")]
    if len(given) > most:
        raise _refused(name, f"{len(given)} values", f"at most {most} values")
    return [read(each) for each in given]


def _optional(query: QueryDict, name: str, read: Callable[[str], _Value]) -> _Value | None:
    raw = query.get(name)
    return None if raw is None else read(raw)


def _id(name: str, raw: str) -> str:
    try:
        return valid_id(raw, field=name)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, code=f"invalid_{name}", field=name) from None


def _language(raw: str) -> str:
    if not is_language(raw):
        raise _refused("languages", raw, "language tags such as en or pt-BR")
    return primary(raw)


def _country(raw: str) -> str:
    if not is_country(raw):
        raise _refused("country", raw, "an ISO 3166 code of two letters such as DE")
    return raw.upper()


def _refused(name: str, raw: str, wanted: str) -> InvalidRequest:
    return InvalidRequest(f"{name} must be {wanted}; got {raw[:40]!r}", code=f"invalid_{name}", field=name)


def _parameter(name: str, kind: Any, description: str, example: Any, **options: Any) -> OpenApiParameter:
    return OpenApiParameter(
        name, kind, description=description, examples=[OpenApiExample(name, value=example)], **options
    )


_HOURS: Final = int(LIFETIME.total_seconds() // 3600)
PARAMETERS: Final = [
    _parameter("user_id", str, "Whose feed; may be left out with an end-user token.", "mia"),
    _parameter("limit", int, f"Items on the page, 1 to {MAX_ITEMS}.", 10, default=DEFAULT_LIMIT),
    _parameter(
        "cursor", str,
        f"`next_cursor` of the page before, good for {_HOURS} hours. The same cursor always gives the same page, so a "
        "request may be repeated; what was hidden meanwhile is left out. All parameters but `exclude_ids` and "
        "`explain` stay those of the first page. Left out: a new walk.",
        "WyIwZjFmN2I4ZTZmNWY0ZDBlOWQwYTRiMWY1ZTJkOWMxMSIsMSwiYTNmIiwxNzk1NTk1NjQzXQ:6cNn8...",
    ),
    _parameter("surface", str, "Which feed.", "for_you", enum=SURFACES, default="for_you"),
    _parameter("exclude_ids", str, f"Content ids not to show, up to {MAX_EXCLUDED}, with commas.", "clip-17,clip-4"),
    _parameter("seed_content_id", str, "Start from contents like this one.", "clip-17"),
    _parameter("categories", str, 'Only these, with commas; surface "category" needs them.', "ocean,neon"),
    _parameter("languages", str, "Only these, with commas; before the profile's `languages`.", "en,pt-BR"),
    _parameter("country", str, "Where the user is, ISO 3166; before the profile's `country`.", "DE"),
    _parameter("creator_id", str, 'Whose contents, on surface "creator".', "mara"),
    _parameter("diversity", float, "From 0, value alone, to 1, as broad as can be; 0.5 is usual.", 0.5),
    _parameter("exploration", float, "Share of positions that try something out, 0 to 1; 0.1 is usual.", 0.1),
    _parameter("max_per_creator", int, "Items of one creator on the page, at most.", 2),
    _parameter(
        "profiling", bool, "`false`: nothing the user ever did chooses; only what was delivered and refused counts.",
        False, default=True,
    ),
    _parameter("explain", bool, "`true`: each item says why it is there.", True, default=False),
]  # fmt: skip
NAMES: Final = frozenset(parameter.name for parameter in PARAMETERS)
