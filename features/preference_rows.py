"""Preferences of a user as rows of a table: what the user states, and apart from it what feedback taught."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

LEARNED: Final = "learned"
"""Where `preferences` puts what it learned."""
WHOLE: Final = "preferences"
"""What a document is called that is no object: every door refuses one, but the table may hold it."""


@dataclass(frozen=True, slots=True)
class PreferenceRow:
    """One preference; `about` is empty where it is of one value or one list. The host app decides upon the names."""

    name: str
    about: str
    value: str


def stated(preferences: Any) -> list[PreferenceRow]:
    """What was stated, in the order of the profile; all of it in one row where it is no object."""
    if not isinstance(preferences, Mapping):
        return _rows(WHOLE, preferences)
    return [row for name, value in preferences.items() if name != LEARNED for row in _rows(name, value)]


def learned(preferences: Any) -> list[PreferenceRow]:
    """What was learned, -1 to 1, the strongest of each kind first."""
    if not isinstance(preferences, Mapping):
        return []
    known = preferences.get(LEARNED, {})
    # The host app may have stated something of its own under the name.
    if not isinstance(known, Mapping):
        return _rows(LEARNED, known)
    return [row for name, value in known.items() for row in _rows(name, _strongest_first(value), signed=True)]


def _strongest_first(value: Any) -> Any:
    if not isinstance(value, Mapping) or not all(_is_number(each) for each in value.values()):
        return value
    return dict(sorted(value.items(), key=lambda each: -abs(each[1])))


def _rows(name: str, value: Any, *, signed: bool = False) -> list[PreferenceRow]:
    if isinstance(value, Mapping):
        return [PreferenceRow(name, about, _said(each, signed=signed)) for about, each in value.items()]
    return [PreferenceRow(name, "", _said(value, signed=signed))]


def _said(value: Any, *, signed: bool) -> str:
    """A value as people write it; what is nested deeper stays JSON."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if _is_number(value):
        return f"{value:+.2f}" if signed else f"{value:g}"
    if isinstance(value, list) and not any(isinstance(each, list | Mapping) for each in value):
        return ", ".join(_said(each, signed=signed) for each in value) or "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
