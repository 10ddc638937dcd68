"""The circumstances of a feed request, as the client tells them: on what, where and when somebody looks.

All of it is logged with what was served. The clock also chooses: features of the hour and the weekday are those of the
clock that the context names, before that of the profile; and so does the country, where the request names none.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

from events.cleaning.audience import is_country
from events.cleaning.schema import show
from features.extraction.temporal import zone_of
from ranking.stated import refused

DEVICES: Final = ("phone", "tablet", "desktop", "tv", "other")
NETWORKS: Final = ("wifi", "cellular", "wired", "offline", "other")
MAX_CHARS: Final = 1_000
MAX_WORD: Final = 40


def _is_word(value: str) -> bool:
    return 1 <= len(value) <= MAX_WORD and value.isprintable()


KEYS: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "device": (lambda value: value in DEVICES, f"one of {', '.join(DEVICES)}"),
    "network": (lambda value: value in NETWORKS, f"one of {', '.join(NETWORKS)}"),
    "os": (_is_word, f"1 to {MAX_WORD} printable characters"),
    "app_version": (_is_word, f"1 to {MAX_WORD} printable characters"),
    "country": (is_country, "an ISO 3166 code of two letters such as DE"),
    "time_zone": (lambda value: zone_of(value) is not None, "an IANA name or an offset such as +02:00"),
    "local_time": (lambda value: _moment(value) is not None, "a time with its offset, as 2026-11-20T19:30:00+01:00"),
}
"""What may be told, whether a value holds, and what it has to be."""


def read_context(raw: str) -> dict[str, str]:
    """A context out of its JSON text; raises InvalidRequest naming the value that is none."""
    try:
        told = json.loads(raw) if len(raw) <= MAX_CHARS else None
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise refused("context", raw, f"a JSON object of at most {MAX_CHARS} characters")
    return {name: _checked(name, value) for name, value in told.items() if value is not None}


def zone_in(context: Mapping[str, str]) -> tzinfo | None:
    """The clock that a context names; None where it names none."""
    if "time_zone" in context:
        return zone_of(context["time_zone"])
    moment = _moment(context["local_time"]) if "local_time" in context else None
    return None if moment is None else moment.tzinfo


def _checked(name: str, value: Any) -> str:
    if name not in KEYS:
        raise refused("context", name, f"made of {', '.join(KEYS)}")
    holds, wanted = KEYS[name]
    if not isinstance(value, str) or not holds(value):
        raise refused("context", show(value, 40), f"right in {name}, which must be {wanted}")
    return value.upper() if name == "country" else value


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment
