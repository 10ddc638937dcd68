"""What an arm may change, and what is refused by name before anybody is served it."""

import pytest

from ranking.experiments.overrides import SOURCES, InvalidOverrides, Overrides, surfaces_of
from ranking.feed_config import USUAL
from ranking.ranker.value import Policy


def test_an_empty_document_changes_nothing():
    told = Overrides.parse({})
    assert told.config(USUAL) is USUAL
    assert told.policy(Policy.default()).document() == Policy.default().document()
    assert told.parts == frozenset()


def test_quotas_change_leave_out_and_add_sources_in_an_order_that_no_database_changes():
    told = Overrides.parse({"for_you": {"latest": 30, "popular": 0, "fresh": 90}})
    wanted = [("sequential", 150), ("content_based", 150), ("trending", 50), ("fresh", 90), ("following", 50),
              ("latest", 30)]  # fmt: skip
    assert list(told.config(USUAL).for_you.items()) == wanted
    assert told.config(USUAL).version != USUAL.version


def test_every_number_of_the_configuration_can_be_changed():
    told = Overrides.parse({
        "explorer": "linear", "exploration": {"block": 20, "new_share": 0.3}, "theta": 3, "fusion": {"taste": 1.5},
        "mix": {"per_creator": 1},
    }).config(USUAL)  # fmt: skip
    assert (told.explorer, told.exploration.block, told.exploration.new_share) == ("linear", 20, 0.3)
    assert (told.theta, told.fusion.taste, told.mix.per_creator) == (3.0, 1.5, 1)
    assert told.exploration.depth == USUAL.exploration.depth


def test_weights_change_what_serves_and_a_segment_comes_before_all():
    told = Overrides.parse({"weights": {"heavy": {"like": 9.0}, "all": {"like": 2.0, "share": 1.0}}})
    weights = told.policy(Policy.default()).document()
    assert (weights["heavy"]["like"], weights["new"]["like"], weights["heavy"]["share"]) == (9.0, 2.0, 1.0)
    assert weights["new"]["watch"] == Policy.default().document()["new"]["watch"]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], r"must be an object by part, got \[\]"),
        ({"colour": 1}, r"unknown parts \['colour'\]"),
        ({"for_you": {"magic": 1}}, "for_you has no magic"),
        ({"for_you": {"fresh": -1}}, r"for_you\.fresh must be a whole number up to 1000, got -1"),
        ({"for_you": {"fresh": True}}, "got True"),
        ({"trending": {"trending": 0, "popular": 0}}, "trending would have no source left"),
        ({"for_you": {}}, "for_you must be an object with at least one of"),
        ({"explorer": "magic"}, "explorer must be one of .* got 'magic'"),
        ({"exploration": {"block": 0}}, r"exploration\.block must be a whole number from 1 on, got 0"),
        ({"exploration": {"block": 2.5}}, "got 2.5"),
        ({"exploration": {"new_share": 7}}, r"exploration: new_share must lie in \[0, 1\], got 7"),
        ({"mix": {"per_category": 1}}, "mix has no per_category"),
        ({"theta": float("nan")}, "theta must be a number, got nan"),
        ({"theta": "3"}, "theta must be a number, got '3'"),
        ({"fairness_loss": 0.5}, "fairness_loss must lie between 0 and 0.1, got 0.5"),
        ({"weights": {"all": {"report": 5}}}, r"weights: new\.report must lie between -1000 and 0, got 5"),
        ({"weights": {"everybody": {"like": 1}}}, "weights has no everybody"),
        ({"model": 3}, "model must be the version of a registered model, got 3"),
    ],
)
def test_what_must_not_serve_is_refused_by_name(document, said):
    with pytest.raises(InvalidOverrides, match=said):
        Overrides.parse(document)


def test_where_a_change_can_be_noticed():
    assert surfaces_of(["trending"]) == {"trending"}
    assert surfaces_of(["model"]) == {"for_you", "category"}
    assert surfaces_of(["trending", "weights"]) == {"trending", "for_you", "category"}
    assert surfaces_of([]) == frozenset()


def test_the_sources_are_those_of_the_pipelines():
    from ranking import surfaces  # noqa: PLC0415  the only test here that needs settings

    assert set(SOURCES) == set(surfaces.SOURCES)
