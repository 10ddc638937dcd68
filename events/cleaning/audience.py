"""Whom a content may be shown to: age, country, language, and what the user does not want to see of whom.

What is not known hides: a label nobody understands hides a content from everybody, an age nobody knows hides what has
an age limit, a country nobody knows hides what is limited to some. No label at all is no limit.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeGuard

EVERYONE: Final = "everyone"
UNKNOWN_RATING: Final = "unknown"
LEAST_AGE: Final[Mapping[str, int]] = {EVERYONE: 0, "13": 13, "16": 16, "18": 18}
"""Age ratings and the age in years from which each may be shown."""
RATINGS: Final = (*LEAST_AGE, UNKNOWN_RATING)
MAX_COUNTRIES: Final = 250
OLDEST: Final = 130
_COUNTRY: Final = re.compile(r"[A-Za-z]{2}\Z")


@dataclass(frozen=True, slots=True)
class Restrictions:
    """What limits one content; countries are ISO 3166 alpha-2 in capitals, an empty `geo_allow` allows all."""

    age_rating: str = EVERYONE
    geo_allow: tuple[str, ...] = ()
    geo_deny: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Audience:
    """Who is looking, as far as it decides what may be shown.

    Attributes
    ----------
    age : in years, None where nobody knows
    country : ISO 3166 alpha-2 in capitals, "" where nobody knows
    languages : primary subtags; empty for any
    creators : whose contents stay away: blocked or muted
    categories : which stay away: muted
    sensitive : whether what is labelled as sensitive is welcome; nobody who has not said so is shown it
    """

    age: int | None = None
    country: str = ""
    languages: frozenset[str] = frozenset()
    creators: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    sensitive: bool = False

    def may_see(
        self, limits: Restrictions, *, creator_id: str, category: str, language: str, sensitive: bool = False
    ) -> bool:
        """Whether a content with these facts may be shown to this audience.

        >>> facts = {"creator_id": "k", "category": "", "language": "en"}
        >>> Audience().may_see(Restrictions(), **facts), Audience(17).may_see(Restrictions("18"), **facts)
        (True, False)
        >>> Audience().may_see(Restrictions(geo_deny=("DE",)), **facts)
        False
        """
        least = LEAST_AGE.get(limits.age_rating)
        return (
            least is not None
            and (least == 0 or (self.age is not None and self.age >= least))
            and (not limits.geo_allow or self.country in limits.geo_allow)
            and (not limits.geo_deny or (self.country != "" and self.country not in limits.geo_deny))
            and (not self.languages or primary(language) in self.languages)
            and creator_id not in self.creators
            and category not in self.categories
            and (self.sensitive or not sensitive)
        )


def read_restrictions(metadata: Mapping[str, Any]) -> Restrictions:
    """The limits that an upload's free metadata states; what cannot be understood gives the rating that hides.

    >>> read_restrictions({"age_rating": 16, "geo_deny": ["de"]})
    Restrictions(age_rating='16', geo_allow=(), geo_deny=('DE',))
    >>> read_restrictions({"age_rating": "spicy"}).age_rating, read_restrictions({"geo_allow": "DE"}).age_rating
    ('unknown', 'unknown')
    """
    rating = metadata.get("age_rating", EVERYONE)
    known = isinstance(rating, str | int) and not isinstance(rating, bool) and str(rating) in LEAST_AGE
    lists = [metadata.get(name, []) for name in ("geo_allow", "geo_deny")]
    if not known or not all(is_countries(each) for each in lists):
        return Restrictions(UNKNOWN_RATING)
    allow, deny = (tuple(sorted({code.upper() for code in each})) for each in lists)
    return Restrictions(str(rating), allow, deny)


def is_sensitive(metadata: Any) -> bool:
    """Whether a content's metadata labels it as sensitive; a label nobody understands does as well, none does not.

    >>> [is_sensitive({"sensitive": label}) for label in (True, False, None, "gore")], is_sensitive({})
    ([True, False, False, True], False)
    """
    label = metadata.get("sensitive") if isinstance(metadata, Mapping) else None
    return label is not None and label is not False


def audience_of(
    demographics: Mapping[str, Any],
    preferences: Mapping[str, Any],
    *,
    now: datetime,
    country: str = "",
    languages: frozenset[str] = frozenset(),
) -> Audience:
    """From the two documents of a profile; what the request says counts before the profile.

    `demographics` may hold `birth_year`, `age`, `minor` (true), `country`; `preferences` lists under `languages`,
    `blocked_creators`, `muted_creators`, `muted_categories`, and `sensitive_content` (true). Of several statements
    about age the youngest counts, and of a birth year the age before this year's birthday.

    >>> audience_of({"birth_year": 2008}, {}, now=datetime(2026, 11, 25)).age
    17
    >>> audience_of({"age": 30, "minor": True}, {}, now=datetime(2026, 11, 25)).age
    0
    """
    stated = demographics.get("country")
    spoken = frozenset(primary(each) for each in _texts(preferences.get("languages")))
    return Audience(
        age=_age(demographics, now),
        country=country or (stated.upper() if is_country(stated) else ""),
        languages=languages or spoken,
        creators=frozenset(_texts(preferences.get("blocked_creators")) + _texts(preferences.get("muted_creators"))),
        categories=frozenset(_texts(preferences.get("muted_categories"))),
        sensitive=preferences.get("sensitive_content") is True,
    )


def stricter(rating: str, other: str) -> str:
    """Of two age ratings the one that lets fewer people see a content; what nobody understands is the strictest.

    >>> stricter("13", "18"), stricter("everyone", "16"), stricter("18", "unknown")
    ('18', '16', 'unknown')
    """
    return max(rating, other, key=lambda each: LEAST_AGE.get(each, OLDEST + 1))


def is_country(value: Any) -> TypeGuard[str]:
    """Whether a value has the shape of an ISO 3166 alpha-2 code."""
    return isinstance(value, str) and _COUNTRY.match(value) is not None


def is_countries(value: Any) -> bool:
    """Whether a value is a list of country codes."""
    return isinstance(value, list | tuple) and len(value) <= MAX_COUNTRIES and all(is_country(each) for each in value)


def primary(language: str) -> str:
    """The language of a language tag, without script and region.

    >>> primary("pt-BR"), primary("")
    ('pt', '')
    """
    return language.partition("-")[0].lower()


def _age(demographics: Mapping[str, Any], now: datetime) -> int | None:
    ages = []
    born, age = demographics.get("birth_year"), demographics.get("age")
    if _is_number(born) and now.year - OLDEST <= born <= now.year:
        ages.append(max(now.year - int(born) - 1, 0))
    if _is_number(age) and 0 <= age <= OLDEST:
        ages.append(int(age))
    if demographics.get("minor") is True:
        ages.append(0)
    return min(ages, default=None)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
