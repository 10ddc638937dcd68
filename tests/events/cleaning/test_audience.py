"""Whom a content may be shown to: what is not known hides."""

from datetime import UTC, datetime

import pytest

from events.cleaning.audience import RATINGS, Audience, Restrictions, audience_of, read_restrictions

NOW = datetime(2026, 11, 20, tzinfo=UTC)
FACTS = {"creator_id": "mara", "category": "ocean", "language": "pt-BR"}


def sees(audience: Audience, **limits) -> bool:
    return audience.may_see(Restrictions(**limits), **FACTS)


@pytest.mark.parametrize(
    ("age", "visible"),
    [(None, {"everyone"}), (0, {"everyone"}), (12, {"everyone"}), (13, {"everyone", "13"}),
     (17, {"everyone", "13", "16"}), (18, {"everyone", "13", "16", "18"})],
)  # fmt: skip
def test_an_age_limit_needs_a_known_age(age, visible):
    assert {rating for rating in RATINGS if sees(Audience(age), age_rating=rating)} == visible


def test_a_rating_nobody_knows_hides_from_everybody():
    assert not any(sees(Audience(90), age_rating=rating) for rating in ("unknown", "", "PG", "21"))


@pytest.mark.parametrize(
    ("allow", "deny", "visible"),
    [((), (), {"", "DE", "BR"}), (("DE",), (), {"DE"}), ((), ("DE",), {"BR"}), (("DE", "BR"), ("BR",), {"DE"})],
)
def test_a_limited_content_needs_a_known_country(allow, deny, visible):
    seen = {each for each in ("", "DE", "BR") if sees(Audience(country=each), geo_allow=allow, geo_deny=deny)}
    assert seen == visible


def test_creators_categories_and_languages_are_the_users_choice():
    assert not sees(Audience(creators=frozenset({"mara"})))
    assert not sees(Audience(categories=frozenset({"ocean"})))
    assert sees(Audience(languages=frozenset({"pt"})))
    assert not sees(Audience(languages=frozenset({"en"})))
    no_language = {**FACTS, "language": ""}
    assert not Audience(languages=frozenset({"en"})).may_see(Restrictions(), **no_language)


@pytest.mark.parametrize(
    ("demographics", "age"),
    [({}, None), ({"birth_year": 2008}, 17), ({"birth_year": 2007}, 18), ({"birth_year": 2027}, None),
     ({"birth_year": "2000"}, None), ({"birth_year": True}, None), ({"age": 44}, 44), ({"age": -1}, None),
     ({"age": 44, "birth_year": 2015}, 10), ({"age": 44, "minor": True}, 0), ({"minor": False}, None),
     ({"age": float("nan")}, None)],
)  # fmt: skip
def test_of_what_is_said_about_age_the_youngest_counts(demographics, age):
    assert audience_of(demographics, {}, now=NOW).age == age


def test_the_request_counts_before_the_profile():
    said = {"country": "de"}, {"languages": ["en-GB"], "muted_creators": ["k"], "blocked_creators": ["m", 3]}
    found = audience_of(*said, now=NOW)
    assert (found.country, found.languages, found.creators) == ("DE", {"en"}, {"k", "m"})
    found = audience_of(*said, now=NOW, country="BR", languages=frozenset({"pt"}))
    assert (found.country, found.languages) == ("BR", {"pt"})


@pytest.mark.parametrize(
    "metadata",
    [{"age_rating": "R"}, {"age_rating": None}, {"age_rating": True}, {"age_rating": ["18"]}, {"geo_deny": "DE"},
     {"geo_allow": ["Germany"]}, {"geo_allow": {"DE": 1}}, {"geo_deny": [1]}],
)  # fmt: skip
def test_a_limit_that_cannot_be_read_hides(metadata):
    assert read_restrictions(metadata).age_rating == "unknown"


def test_no_limit_at_all_is_no_limit():
    assert read_restrictions({"caption": "x"}) == Restrictions()
