"""Creators and tags with anything to show: the statement says what `Audience.may_see` says."""

from itertools import product

import pytest

from events.catalogue import NewContent, impose, register_contents, set_suspension
from events.cleaning.audience import LEAST_AGE, UNKNOWN_RATING, Audience
from events.offered import offered_creators, offered_tags
from events.queries import eligible_cards
from tests.ranking.feeds import NOW

pytestmark = pytest.mark.django_db
RATINGS, COUNTRIES = (*LEAST_AGE, UNKNOWN_RATING), ([], ["DE"], ["FR", "DE"])


@pytest.fixture
def limited() -> list[str]:
    """One content for each mixture of limits, each of a creator and with a tag of its own."""
    names = []
    for rating, allow, deny, imposed in product(RATINGS, COUNTRIES, COUNTRIES, ([], ["FR"])):
        name = f"{rating}/{allow}/{deny}/{imposed}"
        register_contents([
            NewContent(name, name, NOW, {"tags": [name], "category": "sea"}, age_rating=rating, geo_allow=allow,
                       geo_deny=deny)
        ])  # fmt: skip
        if imposed:
            impose(name, status="active", geo_deny=imposed)
        names.append(name)
    return names


@pytest.mark.parametrize("age", [None, 12, 16, 40])
@pytest.mark.parametrize("country", ["", "DE", "FR", "BR"])
def test_the_statement_agrees_with_the_rules(limited, age, country):
    audience = Audience(age=age, country=country)
    shown = eligible_cards(limited, audience).keys()
    assert offered_creators(limited, audience) == offered_tags(limited, audience) == shown
    assert len(shown) < len(limited)


def test_one_content_is_enough_and_a_category_narrows():
    register_contents(NewContent(f"c{n}", "k", NOW, {"category": "sea", "tags": ["a"]}) for n in range(3))
    for each in ("c0", "c1"):
        impose(each, status="hidden")
    assert offered_creators(["k", "nobody", "k"], Audience(), category="sea") == {"k"}
    assert offered_creators(["k"], Audience(), category="moss") == set()
    assert offered_creators([], Audience()) == set()
    for label, welcome in ((True, True), ("gore", True), (False, False), (None, False)):
        register_contents([NewContent("c2", "k", NOW, {"category": "sea", "tags": ["a"], "sensitive": label})])
        assert (offered_creators(["k"], Audience()) == set()) is welcome
        assert offered_tags(["a"], Audience(sensitive=True)) == {"a"}
    set_suspension("k", suspended=True)
    assert offered_creators(["k"], Audience()) == offered_tags(["a"], Audience()) == set()
