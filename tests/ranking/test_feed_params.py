"""The query string of a feed: every refusal is JSON, typed, and names the value."""

import pytest
from django.http import QueryDict
from django.utils import timezone
from rest_framework.test import APIClient

from events import client_tokens
from events.errors import InvalidRequest
from ranking.feed_parameters import body_schema
from ranking.feed_params import parse_feed
from ranking.stated import Stated

URL = "/api/v1/feed"


@pytest.mark.parametrize(
    ("query", "code", "shown"),
    [
        ("limit=0", "invalid_limit", "'0'"),
        ("max_per_creator=0", "invalid_max_per_creator", "'0'"),
        ("max_per_creator=٣", "invalid_max_per_creator", "٣"),
        ("diversity=1.01", "invalid_diversity", "1.01"),
        ("diversity=nan", "invalid_diversity", "nan"),
        ("exploration=-0.1", "invalid_exploration", "-0.1"),
        ("exploration=much", "invalid_exploration", "much"),
        ("country=Germany", "invalid_country", "Germany"),
        ("country=", "invalid_country", "''"),
        ("languages=en,english language", "invalid_languages", "english language"),
        ("surface=friends", "invalid_surface", "friends"),
        ("surface=category", "missing_parameter", "categories"),
        ("surface=creator", "missing_parameter", "creator_id"),
        ("creator_id=k", "invalid_creator_id", "k"),
        ("profiling=no", "invalid_profiling", "'no'"),
        ("explain=yes", "invalid_explain", "'yes'"),
        ("exclude_ids=a,,b", "invalid_exclude_ids", "exclude_ids"),
        ("exclude_ids=" + ",".join(["a"] * 201), "invalid_exclude_ids", "201 values"),
        ("seed_content_id=" + "a" * 201, "invalid_seed_content_id", "201"),
        ("seed_content_id=a%00b", "invalid_seed_content_id", "seed_content_id"),
        ("categories=a%0Ab", "invalid_categories", "categories"),
        ("filter=category", "invalid_filter", "the end"),
        ("filter=", "invalid_filter", "the end"),
        ("filter=colour = 'red'", "invalid_filter", "colour"),
        ("boost=category = 'ocean'", "invalid_boost", "=>"),
        ("boost=age_h < 9 %3D> 4", "invalid_boost", "4"),
        ("surface=latest&boost=age_h < 9 %3D> 1", "invalid_boost", "age_h"),
        ("cusror=x", "unknown_parameter", "cusror"),
    ],
)
def test_what_cannot_be_meant_is_named(query, code, shown):
    with pytest.raises(InvalidRequest) as refused:
        parse_feed(Stated.of_query(QueryDict(query)), "mia")
    assert refused.value.code == code
    assert shown in refused.value.message
    assert refused.value.details["field"] in query or code == "missing_parameter"


def test_everything_that_can_be_said_arrives():
    query = QueryDict(
        "user_id=mia&limit=7&exclude_ids=a,b&exclude_ids=c&seed_content_id=s&categories=x,y&languages=pt-BR,EN&"
        "country=de&diversity=0.3&exploration=0&max_per_creator=2&profiling=false&explain=true&surface=trending"
    )
    found = parse_feed(Stated.of_query(query), "mia")
    assert (found.limit, found.exclude, found.seed_content_id) == (7, {"a", "b", "c"}, "s")
    assert (found.categories, found.languages, found.country) == ({"x", "y"}, {"pt", "en"}, "DE")
    assert (found.diversity, found.exploration, found.max_per_creator) == (0.3, 0.0, 2)
    assert (found.profiling, found.explain, found.surface) == (False, True, "trending")


BODY = {
    "user_id": "mia", "limit": 7, "exclude_ids": ["a", "b", "c,d"], "seed_content_id": "s", "categories": ["x", "y"],
    "languages": ["pt-BR", "EN"], "country": "de", "diversity": 0.3, "exploration": 0, "max_per_creator": 2,
    "profiling": False, "explain": True, "surface": "category", "filter": "age_h < 24", "boost": "age_h < 2 => 1",
    "cursor": None, "session_id": "s-81", "context": {"device": "phone"},
}  # fmt: skip


def test_a_body_says_everything_a_query_string_can_and_commas_in_ids():
    found = parse_feed(Stated.of_body(BODY), "mia")
    assert (found.limit, found.exclude, found.seed_content_id) == (7, {"a", "b", "c,d"}, "s")
    assert (found.categories, found.languages, found.country) == ({"x", "y"}, {"pt", "en"}, "DE")
    assert (found.diversity, found.exploration, found.max_per_creator) == (0.3, 0.0, 2)
    assert (found.profiling, found.explain, found.surface) == (False, True, "category")
    assert (found.filter, found.boost, found.cursor) == ("age_h < 24", "age_h < 2 => 1", None)
    assert (found.session_id, found.context) == ("s-81", {"device": "phone"})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([], "invalid_request"),
        ("mia", "invalid_request"),
        ({"limit": "7"}, "invalid_limit"),
        ({"limit": True}, "invalid_limit"),
        ({"limit": 7.5}, "invalid_limit"),
        ({"diversity": "0.3"}, "invalid_diversity"),
        ({"diversity": 2}, "invalid_diversity"),
        ({"explain": 1}, "invalid_explain"),
        ({"exclude_ids": "a,b"}, "invalid_exclude_ids"),
        ({"exclude_ids": ["a", 7]}, "invalid_exclude_ids"),
        ({"exclude_ids": ["a"] * 201}, "invalid_exclude_ids"),
        ({"filter": ["age_h < 2"]}, "invalid_filter"),
        ({"context": {"device": 5}}, "invalid_context"),
        ({"context": "phone"}, "invalid_context"),
        ({"colour": 5}, "unknown_parameter"),
    ],
)
def test_a_body_that_cannot_be_meant_is_named(body, code):
    with pytest.raises(InvalidRequest) as refused:
        parse_feed(Stated.of_body(body), "mia")
    assert refused.value.code == code
    if isinstance(body, dict):
        assert refused.value.details["field"] in body


def test_every_parameter_has_its_type_in_the_description_of_the_body():
    properties = body_schema()["properties"]
    assert set(BODY) | {"anonymous_id", "creator_id", "include", "fields"} == set(properties)
    assert (properties["limit"]["type"], properties["explain"]["type"]) == ("integer", "boolean")
    assert properties["context"]["type"] == "object"
    assert properties["categories"]["items"] == {"type": "string"}


DEVICE = "7d1f0c2e-9a55-4b7e"


@pytest.mark.parametrize("given", [DEVICE, f"anon:{DEVICE}"])
def test_a_device_is_named_with_and_without_its_prefix(given):
    assert Stated({"anonymous_id": given}, {}).whom() == f"anon:{DEVICE}"


@pytest.mark.parametrize("texts", [{"anonymous_id": "short"}, {"anonymous_id": DEVICE, "user_id": "mia"}])
def test_a_device_that_cannot_be_one_is_refused(texts):
    with pytest.raises(InvalidRequest) as refused:
        Stated(texts, {}).whom()
    assert refused.value.code == "invalid_anonymous_id"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [({"diversity": "2"}, "invalid_diversity"), ({"cursor": "x"}, "invalid_cursor"),
     ({"seed_content_id": "from-nowhere"}, "unknown_content"), ({"colour": "red"}, "unknown_parameter")],
)  # fmt: skip
def test_the_door_answers_refusals_as_json(snapshot, parameters, code):
    token, _ = client_tokens.mint("mia", now=timezone.now())
    answer = APIClient(headers={"Authorization": f"Bearer {token}"}).get(URL, parameters)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/json")
    error = answer.json()["error"]
    assert (error["code"], error["details"]["field"]) == (code, next(iter(parameters)))


def test_an_explained_page_says_why_in_its_answer(snapshot):
    token, _ = client_tokens.mint("mia", now=timezone.now())
    items = APIClient(headers={"Authorization": f"Bearer {token}"}).get(URL, {"explain": "true"}).json()["items"]
    for item in items:
        explanation = item["explanation"]
        names = {"sentence", "ranks", "propensity", "moves", "heads", "terms", "signals", "weights"}
        assert set(explanation) == names
        assert (explanation["heads"], explanation["terms"], explanation["weights"]) == ({}, {}, ""), "no model serves"
        assert sum(explanation["signals"].values()) == pytest.approx(item["score"], abs=1e-3)
        assert explanation["sentence"].endswith(".")
        assert set(explanation["ranks"]) == set(item["sources"])
        assert 0.0 < explanation["propensity"] <= 1.0
