"""Which creators and tags have anything that an audience may be shown at this moment, by the word of the database.

Lists of them are counted now and then; what is left of a creator whose contents were all withdrawn must not be listed
until somebody counts again.
"""

from collections.abc import Collection
from typing import Any, Final

from django.db import connection

from events.cleaning.audience import LEAST_AGE, Audience
from events.queries import RELEASED

# `Audience.may_see` in the words of the database, as far as age, country, category and label go; a test holds them
# together.
_SHOWN: Final = """
    SELECT DISTINCT name FROM unnest(%(names)s::text[]) AS asked (name) WHERE EXISTS (
        SELECT FROM content WHERE {belongs}
            AND age_rating = ANY(%(ratings)s) AND imposed_age_rating = ANY(%(ratings)s)
            AND (geo_allow = '{{}}' OR %(country)s = ANY(geo_allow))
            AND (geo_deny || imposed_geo_deny = '{{}}'
                 OR (%(country)s <> '' AND NOT %(country)s = ANY(geo_deny || imposed_geo_deny)))
            AND (%(sensitive)s OR coalesce(metadata -> 'sensitive' IN ('false', 'null'), true))
            AND (%(category)s = '' OR metadata ->> 'category' = %(category)s)
            {released})
"""
_CREATORS: Final = _SHOWN.format(belongs="creator_id = name", released=RELEASED)
_TAGS: Final = _SHOWN.format(belongs="metadata -> 'tags' ? name", released=RELEASED)


def offered_creators(names: Collection[str], audience: Audience, *, category: str = "") -> set[str]:
    """Those of some creators who have such a content. Served by the index on creators."""
    return _offered(_CREATORS, names, audience, category)


def offered_tags(names: Collection[str], audience: Audience) -> set[str]:
    """Those of some tags that such a content has. Served by the index content_tags."""
    return _offered(_TAGS, names, audience, "")


def _offered(statement: str, names: Collection[str], audience: Audience, category: str) -> set[str]:
    if not names:
        return set()
    ratings = [rating for rating, least in LEAST_AGE.items() if least == 0 or (audience.age or 0) >= least]
    told: dict[str, Any] = {
        "names": list(names), "ratings": ratings, "country": audience.country, "sensitive": audience.sensitive,
        "category": category,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(statement, told)
        return {name for (name,) in cursor.fetchall()}
