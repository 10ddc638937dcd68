"""What features read of a user's profile: the clock the user lives by, and what the user stated to want.

So that no wish of today explains a watch of last week, what is stated counts from the moment it was stated until it was
taken back: a profile carries what it said earlier (`Profile.earlier`), and an edit of anything else moves nothing.
Before there was a profile nothing was stated, and where nobody knows any more, nothing counts as stated; the time zone
counts even so, as it says nothing about taste. What feedback adds up to is not read from the profile at all but
replayed from the history (`preferences`), which knows every step.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any, Final

from features.extraction.temporal import zone_of

STATED: Final = ("categories", "creators")
LIMIT: Final = 500
"""Wishes of one kind that are read."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile as features read it.

    Attributes
    ----------
    zone : the user's clock
    categories, creators : 1.0 where liked, -1.0 where muted
    languages : as the profile names them
    since : seconds since 1970 UTC, when the profile was made; nothing was stated before
    earlier : what it said before its changes, each until when, in order of time; seconds since 1970 UTC
    """

    zone: tzinfo = UTC
    categories: Mapping[str, float] = field(default_factory=dict)
    creators: Mapping[str, float] = field(default_factory=dict)
    languages: frozenset[str] = frozenset()
    since: float = 0.0
    earlier: "tuple[tuple[float, Profile], ...]" = ()

    def known_at(self, moment: float) -> "Profile":
        """What the profile said at a moment."""
        if moment <= self.since:
            return Profile(self.zone)
        return next((said for until, said in self.earlier if moment <= until), self)

    @property
    def wishes(self) -> int:
        """How much is stated."""
        return len(self.categories) + len(self.creators) + len(self.languages)


def read_profile(demographics: Mapping[str, Any], preferences: Mapping[str, Any], *, default_zone: tzinfo) -> Profile:
    """From the two documents of a profile; whatever is not as expected counts as not said.

    `demographics["time_zone"]` is an IANA name or an offset like "+02:00". `preferences` may hold lists of ids under
    `liked_categories`, `muted_categories`, `liked_creators`, `muted_creators` and `languages`; muted counts before
    liked.

    >>> read_profile({"time_zone": "Asia/Tokyo"}, {"muted_creators": ["k1"]}, default_zone=UTC).creators
    {'k1': -1.0}
    """
    named = demographics.get("time_zone")
    zone = zone_of(named) if isinstance(named, str) else None
    stated = {
        kind: dict.fromkeys(_texts(preferences.get(f"liked_{kind}")), 1.0)
        | dict.fromkeys(_texts(preferences.get(f"muted_{kind}")), -1.0)
        for kind in STATED
    }
    languages = frozenset(_texts(preferences.get("languages")))
    return Profile(zone or default_zone, stated["categories"], stated["creators"], languages)


def _texts(value: object) -> list[str]:
    return [each for each in value[:LIMIT] if isinstance(each, str)] if isinstance(value, list) else []
