"""What a feed is asked for: each parameter checked by itself, each refusal naming its value."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from events.authentication import valid_id
from events.cleaning.audience import is_country, primary
from events.cleaning.uploads import is_language
from events.errors import InvalidRequest
from ranking.candidates.expressions import ExpressionError, parse_boosts, parse_filter
from ranking.cursors import opened
from ranking.feed_context import read_context
from ranking.feed_parameters import DEFAULT_LIMIT, MAX_EXCLUDED, NAMES, NEXT_NAMES
from ranking.feed_request import MAX_ITEMS, SURFACES, FeedRequest
from ranking.serializers import CONTENT_FIELDS, ITEM_FIELDS
from ranking.stated import Stated, refused

MAX_NAMES: Final = 50
_FLAGS: Final[Mapping[str, bool]] = {"true": True, "1": True, "false": False, "0": False}
_Value = TypeVar("_Value")


def parse_feed(stated: Stated, user_id: str) -> FeedRequest:
    """The request that is stated; raises InvalidRequest naming the first value that is none."""
    stated.only(NAMES)
    surface = _one_of(stated, "surface", SURFACES, "for_you")
    categories = frozenset(_list(stated, "categories", lambda each: _id("categories", each)))
    creator_id = _optional(stated, "creator_id", lambda each: _id("creator_id", each))
    for name, needed, given in (("categories", "category", categories), ("creator_id", "creator", creator_id)):
        if surface == needed and not given:
            raise InvalidRequest(f"surface {surface!a} needs {name}", code="missing_parameter", field=name)
    if creator_id is not None and surface != "creator":
        raise refused("creator_id", creator_id, 'left out unless surface is "creator"')
    boost = _optional(stated, "boost", lambda each: expression("boost", each, parse_boosts)) or ""
    if boost and surface not in {"for_you", "category"}:
        raise refused("boost", boost, 'left out unless surface is "for_you" or "category"')
    return FeedRequest(
        user_id=user_id,
        limit=_number(stated, "limit", 1, MAX_ITEMS) or DEFAULT_LIMIT,
        surface=surface,
        cursor=stated.texts.get("cursor"),
        seed_content_id=_optional(stated, "seed_content_id", lambda each: _id("seed_content_id", each)),
        categories=categories,
        languages=frozenset(_list(stated, "languages", _language)),
        creator_id=creator_id,
        country=_optional(stated, "country", _country) or "",
        diversity=_optional(stated, "diversity", lambda each: _share("diversity", each)),
        exploration=_optional(stated, "exploration", lambda each: _share("exploration", each)),
        max_per_creator=_number(stated, "max_per_creator", 1, MAX_ITEMS),
        filter=_optional(stated, "filter", lambda each: expression("filter", each, parse_filter)) or "",
        boost=boost,
        profiling=_flag(stated, "profiling", default=True),
        **_of_page(stated),
    )


def parse_next(stated: Stated, user_id: str, *, now: datetime) -> FeedRequest:
    """The request for the page that a cursor leads to, by what the cursor itself carries.

    Raises
    ------
    InvalidRequest : as `parse_feed` and `cursors.opened`; `missing_parameter` where parameters were too long to carry
    """
    stated.only(NEXT_NAMES)
    cursor = stated.texts.get("cursor")
    if cursor is None:
        raise InvalidRequest("cursor is needed here; /feed begins a walk", code="missing_parameter", field="cursor")
    carried = opened(cursor, now=now).stated
    if carried is None:
        message = "the parameters of this walk are too long for its cursor; ask /feed for the page, with all of them"
        raise InvalidRequest(message, code="missing_parameter", field="cursor")
    return FeedRequest.continued(user_id, cursor, carried, **_of_page(stated))


def parse_include(stated: Stated) -> frozenset[str]:
    """Which facts of the contents are wanted; empty for all."""
    return _some_of(stated, "include", CONTENT_FIELDS)


def parse_fields(stated: Stated) -> frozenset[str]:
    """Which fields of the items are wanted; empty for all."""
    return _some_of(stated, "fields", ITEM_FIELDS)


def expression(name: str, raw: str, read: Callable[[str], object]) -> str:
    """A condition or boosts as the caller wrote them, checked; raises InvalidRequest saying what is wrong where."""
    try:
        read(raw)
    except ExpressionError as error:
        raise InvalidRequest(f"{name}: {error}", code=f"invalid_{name}", field=name) from None
    return raw


def _of_page(stated: Stated) -> dict[str, Any]:
    """What a page is asked for beyond the parameters of its walk."""
    return {
        "exclude": _excluded(stated),
        "explain": _flag(stated, "explain", default=False),
        "session_id": _optional(stated, "session_id", lambda each: _id("session_id", each)) or "",
        "context": _optional(stated, "context", read_context) or {},
    }


def _some_of(stated: Stated, name: str, names: Sequence[str]) -> frozenset[str]:
    found = frozenset(stated.lists.get(name, ()))
    strange = sorted(found - set(names))
    if strange:
        raise refused(name, strange[0], f"some of {', '.join(names)}")
    return found


def _excluded(stated: Stated) -> frozenset[str]:
    return frozenset(_list(stated, "exclude_ids", lambda each: _id("exclude_ids", each), most=MAX_EXCLUDED))


def _number(stated: Stated, name: str, least: int, most: int) -> int | None:
    raw = stated.texts.get(name)
    if raw is None:
        return None
    # isdecimal alone would let other scripts' digits through; the length keeps int() cheap.
    if not (raw.isascii() and raw.isdecimal() and len(raw) <= 4 and least <= int(raw) <= most):
        raise refused(name, raw, f"a whole number from {least} to {most}")
    return int(raw)


def _share(name: str, raw: str) -> float:
    try:
        value = float(raw) if len(raw) <= 20 and raw.isascii() else math.nan
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= 1.0:
        raise refused(name, raw, "a number from 0 to 1")
    return value


def _flag(stated: Stated, name: str, *, default: bool) -> bool:
    raw = stated.texts.get(name)
    if raw is None:
        return default
    if raw not in _FLAGS:
        raise refused(name, raw, "true or false")
    return _FLAGS[raw]


def _one_of(stated: Stated, name: str, allowed: tuple[str, ...], default: str) -> str:
    raw = stated.texts.get(name, default)
    if raw not in allowed:
        raise refused(name, raw, f"one of {', '.join(allowed)}")
    return str(raw)


def _list(stated: Stated, name: str, read: Callable[[str], _Value], *, most: int = MAX_NAMES) -> list[_Value]:
    given = stated.lists.get(name, ())
    if len(given) > most:
        raise refused(name, f"{len(given)} values", f"at most {most} values")
    return [read(each) for each in given]


def _optional(stated: Stated, name: str, read: Callable[[str], _Value]) -> _Value | None:
    raw = stated.texts.get(name)
    return None if raw is None else read(raw)


def _id(name: str, raw: str) -> str:
    try:
        return valid_id(raw, field=name)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, code=f"invalid_{name}", field=name) from None


def _language(raw: str) -> str:
    if not is_language(raw):
        raise refused("languages", raw, "language tags such as en or pt-BR")
    return primary(raw)


def _country(raw: str) -> str:
    if not is_country(raw):
        raise refused("country", raw, "an ISO 3166 code of two letters such as DE")
    return raw.upper()
