"""What of a refused event may be seen by whoever may not see people: its form, and a few values that name nobody.

A mask that knows the names of personal fields fails where it matters, because refused events are those with other
names than expected: `userId`, `uid`, an address in a label. So everything is masked but what is listed here.
"""

import re
from typing import Any, Final

MASK: Final = "•••"
# Fields of the event itself, never of an object inside of it, whose value is shown where it looks as it should.
_HARMLESS: Final = {
    "event_type": re.compile(r"[A-Za-z_]{1,24}"),
    "timestamp": re.compile(r"[0-9TZtz:.+ -]{1,40}"),
    "surface": re.compile(r"[A-Za-z_ -]{1,24}"),
    "platform": re.compile(r"[A-Za-z_ -]{1,24}"),
}
_NUMBERS: Final = frozenset({"watch_duration", "position", "loops"})
_IDS: Final = ("user_id", "creator_id", "session_id", "content_id")
# A name of a field as programmers write them; anything else may be a value that slipped into its place.
_NAME: Final = re.compile(r"[A-Za-z_]{1,40}")
_PLACE: Final = re.compile(r"[A-Za-z_]{1,40}(\.[A-Za-z_]{1,40}|\[\])*(: |$)")
_UNKNOWN_FIELD: Final = "; free fields go into additional_info"
# Where a reason goes on with what was sent, or with whom somebody speaks for.
_VALUES: Final = re.compile(r"; got |: this token|, not for |(?<=the database refuses it): |(?<=is not valid JSON): ")


def masked_value(event: Any) -> Any:
    """A decoded event with its values described by type and length, but for a few that name nobody.

    >>> masked_value({"event_type": "like", "userId": "anna@example.com", "position": 3, "additional_info": {"a": [1]}})
    {'event_type': 'like', 'userId': '••• text of 16', 'position': 3, 'additional_info': {'a': ['••• number']}}
    """
    if not isinstance(event, dict):
        return _described(event)
    ids = {value for name in _IDS if isinstance(value := event.get(name), str)}
    return {
        _shown_name(name): value if _is_harmless(name, value, ids) else _described(value)
        for name, value in event.items()
    }


def masked_detail(detail: str) -> str:
    """A reason without the value that was sent, the name of a field where that may be one, and whom a token names.

    >>> masked_detail("watch_duration: Expected `float`; got 'anna'")
    'watch_duration: Expected `float`'
    >>> masked_detail("anna@example.com: no such field; free fields go into additional_info")
    '•••: no such field; free fields go into additional_info'
    """
    detail = _VALUES.split(detail, maxsplit=1)[0]
    field, colon, rest = detail.partition(": ")
    if colon and " " not in field and not _PLACE.match(detail):
        return f"{MASK}: {rest}"
    if detail.endswith(_UNKNOWN_FIELD) and not _PLACE.match(detail):
        # The name itself may hold blanks and colons.
        return f"{MASK}: no such field{_UNKNOWN_FIELD}"
    return detail


def masked_refusal(refusal: str) -> str:
    """A code and a reason, the latter masked.

    >>> masked_refusal("invalid_value: position: Expected `int`; got 'anna'")
    'invalid_value: position: Expected `int`'
    """
    code, _, detail = refusal.partition(": ")
    return f"{code}: {masked_detail(detail)}"


def _is_harmless(name: str, value: Any, ids: set[str]) -> bool:
    if isinstance(value, str):
        looks = _HARMLESS.get(name)
        return looks is not None and value not in ids and looks.fullmatch(value) is not None
    return name in _NUMBERS and isinstance(value, int | float)


def _described(value: Any) -> Any:
    if isinstance(value, dict):
        return {_shown_name(name): _described(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_described(inner) for inner in value]
    if isinstance(value, str):
        return f"{MASK} text of {len(value)}"
    return value if value is None or isinstance(value, bool) else f"{MASK} number"


def _shown_name(name: str) -> str:
    return name if _NAME.fullmatch(name) else f"{MASK} name of {len(name)}"
