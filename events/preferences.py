"""What a user states: interests, mutes, blocks, languages, and whether behaviour may be used.

Stored in the profile by `catalogue.revise_preferences`, in the keys that features (`features.extraction.profile`) and
filters read. Every change holds the row, so that two devices at once lose nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from events import catalogue, queries
from events.cleaning.preferences import MOST_NAMES, Preferences, as_document, read_preferences, with_name

Shunning = Literal["blocks", "mutes"]


class TooManyNames(ValueError):
    """A list of preferences is full."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} holds {MOST_NAMES} ids, which is all there is room for")
        self.field = field


@dataclass(frozen=True, slots=True)
class Interests:
    """What a user picks when they begin; None leaves what was stated before."""

    categories: tuple[str, ...]
    creators: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None


def preferences_of(user_id: str) -> Preferences:
    """What a user states; the defaults for a user nobody knows. One query by primary key."""
    profile = queries.profile(user_id)
    return read_preferences(None if profile is None else profile["preferences"])


def replace_preferences(user_id: str, stated: Mapping[str, Any]) -> Preferences:
    """Set everything stated; what is not named goes back to its default."""
    return _revise(user_id, lambda _: read_preferences(stated))[0]


def change_preferences(user_id: str, stated: Mapping[str, Any]) -> Preferences:
    """Set what is named and keep the rest."""
    return _revise(user_id, lambda known: read_preferences({**as_document(known), **stated}))[0]


def set_interests(user_id: str, interests: Interests) -> Preferences:
    """Take in what a user picked; who likes a topic or creator has not muted it any more."""

    def picked(known: Preferences) -> Preferences:
        creators = known.liked_creators if interests.creators is None else interests.creators
        return replace(
            known,
            liked_categories=interests.categories,
            liked_creators=creators,
            muted_categories=tuple(each for each in known.muted_categories if each not in interests.categories),
            muted_creators=tuple(each for each in known.muted_creators if each not in creators),
            languages=known.languages if interests.languages is None else interests.languages,
        )

    return _revise(user_id, picked)[0]


def set_shunned(user_id: str, creator_id: str, how: Shunning, *, present: bool) -> bool:
    """Block or mute a creator, or take that back; True when it changed anything.

    Raises
    ------
    TooManyNames : the list is full
    """

    def revised(known: Preferences) -> Preferences:
        liked = with_name(known.liked_creators, creator_id, present=False) if present else known.liked_creators
        if how == "blocks":
            names = _listed(known.blocked_creators, creator_id, "blocked_creators", present=present)
            return replace(known, blocked_creators=names, liked_creators=liked)
        names = _listed(known.muted_creators, creator_id, "muted_creators", present=present)
        return replace(known, muted_creators=names, liked_creators=liked)

    return _revise(user_id, revised)[1]


def _listed(names: tuple[str, ...], name: str, field: str, *, present: bool) -> tuple[str, ...]:
    """`with_name`, unless the list is full."""
    listed = with_name(names, name, present=present)
    if present and len(listed) > max(MOST_NAMES, len(names)):
        raise TooManyNames(field)
    return listed


def _revise(user_id: str, revised: Callable[[Preferences], Preferences]) -> tuple[Preferences, bool]:
    """The preferences after a change, and whether it changed anything."""
    changed = False
    after = Preferences()

    def change(document: Mapping[str, Any]) -> Mapping[str, Any]:
        nonlocal changed, after
        before = read_preferences(document)
        after = revised(before)
        changed = after != before
        return {**document, **as_document(after)} if changed else document

    catalogue.revise_preferences(user_id, change)
    return after, changed
