"""What a user states to want and not to want, as the document under a profile's `preferences`.

The document holds more than this: what feedback taught (`learned`) and whatever the host app keeps there. Both stay
untouched when a user changes a wish.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

MOST_NAMES: Final = 500
"""Of one list, when it is written. Whatever is stored is read whole: a block that is not read would fail open."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """The stated part of a profile's preferences; each list without repeats, in the order it was stated.

    Attributes
    ----------
    liked_categories, liked_creators : interests
    muted_categories, muted_creators : not wanted in the feed
    blocked_creators : nothing of them is wanted anywhere
    languages : language tags; empty for any
    profiling : whether behaviour may shape what is recommended
    sensitive_content : whether contents labelled as sensitive are welcome
    """

    liked_categories: tuple[str, ...] = ()
    liked_creators: tuple[str, ...] = ()
    muted_categories: tuple[str, ...] = ()
    muted_creators: tuple[str, ...] = ()
    blocked_creators: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    profiling: bool = True
    sensitive_content: bool = False

    @property
    def unwanted_creators(self) -> frozenset[str]:
        """Blocked or muted."""
        return frozenset(self.blocked_creators) | frozenset(self.muted_creators)


NAMES: Final = tuple(each.name for each in fields(Preferences))
SWITCHES: Final = ("profiling", "sensitive_content")
LISTS: Final = tuple(name for name in NAMES if name not in SWITCHES)


def read_preferences(document: Any) -> Preferences:
    """The stated part of a document; whatever has another shape counts as not said.

    >>> read_preferences({"muted_creators": ["k1", 7, "k1"], "profiling": "no", "learned": {}}).muted_creators
    ('k1',)
    """
    if not isinstance(document, Mapping):
        return Preferences()
    stated: dict[str, Any] = {name: _texts(document.get(name)) for name in LISTS}
    switches = {name: document[name] for name in SWITCHES if isinstance(document.get(name), bool)}
    return Preferences(**stated, **switches)


def as_document(preferences: Preferences) -> dict[str, Any]:
    """The stated part as JSON values, every key present.

    >>> as_document(Preferences(languages=("en",)))["languages"]
    ['en']
    """
    return {name: list(value) if name in LISTS else value for name, value in asdict(preferences).items()}


def overfull(document: Mapping[str, Any]) -> str | None:
    """The name of a list that holds more than there is room for.

    >>> overfull({"muted_creators": ["k"] * 501}), overfull({"muted_creators": ["k"], "own": list(range(900))})
    ('muted_creators', None)
    """
    lists = ((name, document.get(name)) for name in LISTS)
    return next((name for name, value in lists if isinstance(value, list) and len(value) > MOST_NAMES), None)


def with_name(names: tuple[str, ...], name: str, *, present: bool) -> tuple[str, ...]:
    """A list with one name added at its end, or taken out; unchanged where that is so already.

    >>> with_name(("a", "b"), "a", present=False), with_name(("a",), "a", present=True)
    (('b',), ('a',))
    """
    if present:
        return names if name in names else (*names, name)
    return tuple(each for each in names if each != name)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(dict.fromkeys(each for each in value if isinstance(each, str)))
