"""Query strings of the listings: strict, bounded, and every refusal names the value."""

from collections.abc import Collection
from typing import Any, Final, Protocol, TypeVar

from events.authentication import valid_id
from events.cleaning.audience import is_country
from events.cleaning.schema import show
from events.errors import InvalidRequest

MOST_VALUES: Final = 50
Word = TypeVar("Word", bound=str)


class Params(Protocol):
    """What Django's QueryDict offers here."""

    def get(self, key: str) -> Any:
        """The last value of a name; None without one."""

    def getlist(self, key: str) -> list[Any]:
        """Every value of a name."""

    def __iter__(self) -> Any:
        """The names."""


def only(params: Params, names: Collection[str]) -> None:
    """Refuse parameters that the route does not have: a typo in a filter must not answer everything."""
    unknown = next((each for each in params if each not in names), None)
    if unknown is not None:
        raise InvalidRequest(
            f"{show(unknown, 40)[1:-1]}: no such parameter; there are {', '.join(sorted(names))}",
            code="unknown_parameter",
            field=unknown[:40],
        )


def whole_number(params: Params, name: str, *, default: int, most: int) -> int:
    """A whole number from 1 to `most`."""
    raw = params.get(name)
    if raw is None:
        return default
    # isdecimal alone would let other scripts' digits through; the length keeps int() cheap.
    if not (raw.isascii() and raw.isdecimal() and len(raw) <= 4 and 1 <= int(raw) <= most):
        message = f"{name} must be a whole number from 1 to {most}; got {show(raw, 40)}"
        raise InvalidRequest(message, code="invalid_number", field=name)
    return int(raw)


def one_of(params: Params, name: str, choices: Collection[Word], *, default: Word) -> Word:
    """One of a few words."""
    raw = params.get(name)
    if raw is None:
        return default
    for choice in choices:
        if raw == choice:
            return choice
    message = f"{name} must be one of {', '.join(choices)}; got {show(raw, 40)}"
    raise InvalidRequest(message, code="invalid_choice", field=name)


def words(params: Params, name: str) -> frozenset[str]:
    """Every value of a parameter that may be repeated."""
    raw = params.getlist(name)
    if len(raw) > MOST_VALUES:
        message = f"{name} may be given {MOST_VALUES} times; it is given {len(raw)} times"
        raise InvalidRequest(message, code="too_many_values", field=name)
    return frozenset(valid_id(each, field=name) for each in raw)


def country(params: Params, name: str) -> str:
    """A country code in capitals; "" without one."""
    raw = params.get(name)
    if raw is not None and not is_country(raw):
        message = f"{name} must be a country code such as DE or BR; got {show(raw, 40)}"
        raise InvalidRequest(message, code="invalid_country", field=name)
    return "" if raw is None else str(raw).upper()
