"""Parameters of a feed as they came, in a query string or a body, before anybody looks at what they say.

A body has lists where a query string has commas, and numbers and truth values of its own; null says as much as nothing.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from events.cleaning.rules import ANONYMOUS, is_anonymous
from events.cleaning.schema import show
from events.errors import InvalidRequest
from ranking.feed_parameters import JSON_TYPES, KINDS, LISTS, OBJECTS


@dataclass(frozen=True, slots=True)
class Stated:
    """Parameters as texts, whatever they came in; those that may have several values in `lists`."""

    texts: Mapping[str, str]
    lists: Mapping[str, Sequence[str]]

    @classmethod
    def of_query(cls, query: QueryDict) -> "Stated":
        """Of a query string: lists may be given several times, each time with commas; of the rest the last counts."""
        lists = {name: [each for raw in query.getlist(name) for each in raw.split(",")] for name in LISTS & set(query)}
        return cls({name: str(query[name]) for name in query if name not in LISTS}, lists)

    @classmethod
    def of_body(cls, body: Any) -> "Stated":
        """Of a JSON body; raises InvalidRequest where a value has another type than its parameter."""
        if not isinstance(body, dict):
            raise InvalidRequest(f"the body must be a JSON object; got {show(body, 40)}", code="invalid_request")
        texts: dict[str, str] = {}
        lists: dict[str, Sequence[str]] = {}
        for name, value in body.items():
            if name in LISTS and value is not None:
                if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
                    raise refused(name, show(value, 40), "a list of texts")
                if value:
                    lists[name] = value
            elif name in OBJECTS and isinstance(value, dict):
                texts[name] = json.dumps(value)
            elif value is not None:
                texts[name] = _text_of(name, value)
        return cls(texts, lists)

    def only(self, names: Collection[str]) -> None:
        """Refuse parameters that there are not: a typo in a filter must not answer everything."""
        unknown = sorted((set(self.texts) | set(self.lists)) - set(names))
        if unknown:
            message = f"there is no parameter {unknown[0][:40]!a}"
            raise InvalidRequest(message, code="unknown_parameter", field=unknown[0][:40])

    def whom(self) -> str | None:
        """The user that is named, by `user_id` or by the `anonymous_id` of a device; None where nobody is."""
        user_id, device = self.texts.get("user_id"), self.texts.get("anonymous_id")
        if device is None:
            return user_id
        if user_id is not None:
            raise refused("anonymous_id", device, "left out beside user_id")
        named = device if device.startswith(ANONYMOUS) else ANONYMOUS + device
        if not is_anonymous(named):
            raise refused("anonymous_id", device, "16 to 128 letters, digits, dots, hyphens, underscores or tildes")
        return named


def refused(name: str, raw: str, wanted: str) -> InvalidRequest:
    """The refusal of a parameter's value, by the parameter's own code."""
    return InvalidRequest(f"{name} must be {wanted}; got {raw[:40]!r}", code=f"invalid_{name}", field=name)


def _text_of(name: str, value: Any) -> str:
    """A value of a JSON body as a query string would say it."""
    kind = KINDS.get(name, str)
    if kind is bool and isinstance(value, bool):
        return "true" if value else "false"
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and (kind is float or (kind is int and isinstance(value, int))):
        return repr(value)
    if kind is str and isinstance(value, str):
        return value
    # An unknown name is refused later, by its name.
    if name not in KINDS:
        return ""
    raise refused(name, show(value, 40), f"of the JSON type {JSON_TYPES[kind]}")
