"""What may happen to an experiment and when, and a log that nobody can change."""

import pytest
from django.db import DatabaseError, connection, transaction

from ranking import experiment_lifecycle as lifecycle
from ranking import registry, value_weights
from ranking.experiment_lifecycle import Refused, UnknownExperiment
from ranking.experiment_models import Experiment, ExperimentDecision
from ranking.experiments.draft import InvalidExperiment
from tests.ranking.experiment_cases import draft, run
from tests.ranking.feeds import NOW, promote_model

pytestmark = pytest.mark.django_db
BY = {"by": "ada", "reason": "because", "now": NOW}


def kinds(key="hooks"):
    return list(reversed([each.kind for each in lifecycle.decisions_of(key)]))


def test_a_whole_life_is_in_the_log_with_who_and_why():
    run(draft(coverage=0.1))
    lifecycle.grow("hooks", 0.5, **BY)
    lifecycle.stop("hooks", numbers={"views": 0.1}, **BY)
    lifecycle.new_phase("hooks", **BY)
    lifecycle.edit(draft(coverage=1.0, treatment={"theta": 3.0}), by="ada", now=NOW)
    lifecycle.start("hooks", plan={"days": 9}, **BY)
    row = lifecycle.ship("hooks", "treatment", **BY)
    assert (row.state, row.phase, row.winner, row.shipped_at) == ("shipped", 2, "treatment", NOW)
    assert kinds() == ["create", "start", "coverage", "stop", "phase", "edit", "start", "ship"]
    stopped = ExperimentDecision.objects.get(kind="stop")
    assert (stopped.by, stopped.reason, stopped.numbers, stopped.phase) == ("ada", "because", {"views": 0.1}, 1)


@pytest.mark.parametrize(
    "change", ["UPDATE experiment_decision SET reason = 'another'", "DELETE FROM experiment_decision"]
)
def test_the_log_refuses_to_be_changed(change):
    run(draft())
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)
    assert kinds() == ["create", "start"]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (lambda: lifecycle.stop("hooks", **BY), "hooks is draft; it can be stopped only when running"),
        (lambda: lifecycle.grow("hooks", 0.5, **BY), "can be grown only when running"),
        (lambda: lifecycle.ship("hooks", "treatment", **BY), "can be shipped only when running or stopped"),
        (lambda: lifecycle.new_phase("hooks", **BY), "given a new phase only when stopped"),
        (lambda: lifecycle.withdraw("hooks", **BY), "can be withdrawn only when shipped"),
        (lambda: lifecycle.create(draft(), by="ada", now=NOW), "there is an experiment hooks already"),
        (lambda: lifecycle.start("hooks", by="ada", reason=" ", plan={}, now=NOW), "a decision needs a reason"),
    ],
)
def test_a_step_out_of_turn_is_refused_and_changes_nothing(step, said):
    lifecycle.create(draft(), by="ada", now=NOW)
    with pytest.raises(Refused, match=said):
        step()
    assert Experiment.objects.get().state == "draft"
    assert kinds() == ["create"]


def test_what_runs_cannot_be_edited_and_coverage_only_grows():
    run(draft(coverage=0.5))
    with pytest.raises(Refused, match="edited only when draft"):
        lifecycle.edit(draft(coverage=0.6), by="ada", now=NOW)
    for coverage in (0.5, 0.2, 1.2):
        with pytest.raises(Refused, match="coverage can only grow"):
            lifecycle.grow("hooks", coverage, **BY)


def test_two_experiments_may_not_change_the_same_unless_they_exclude_each_other():
    run(draft("one", treatment={"theta": 3.0}))
    lifecycle.create(draft("two", treatment={"theta": 1.0}), by="ada", now=NOW)
    with pytest.raises(Refused, match="one is running and changes theta too"):
        lifecycle.start("two", plan={}, **BY)
    lifecycle.stop("one", **BY)
    lifecycle.start("two", plan={}, **BY)


def test_parts_of_a_namespace_belong_to_one_experiment_each():
    run(draft("one", treatment={"theta": 3.0}, namespace="page", namespace_to=0.5))
    run(draft("two", treatment={"theta": 1.0}, namespace="page", namespace_from=0.5))
    lifecycle.create(draft("three", {"explorer": "linear"}, namespace="page", namespace_from=0.4), by="ada", now=NOW)
    with pytest.raises(Refused, match=r"has a part of namespace page from 0 to 0\.5 already"):
        lifecycle.start("three", plan={}, **BY)


def test_a_model_that_cannot_serve_does_not_start():
    lifecycle.create(draft(treatment={"model": "ranker-none"}), by="ada", now=NOW)
    with pytest.raises(Refused, match="model 'ranker-none' cannot serve"):
        lifecycle.start("hooks", plan={}, **BY)


def test_shipping_a_model_promotes_it_and_shipping_weights_publishes_them(champion):
    best = champion()
    other = promote_model(0.4)
    registry.promote(best, now=NOW)
    run(draft(treatment={"model": other, "weights": {"all": {"like": 11.0}}}))
    lifecycle.ship("hooks", "treatment", **BY)
    assert registry.champion_version() == other
    assert value_weights.current().document()["heavy"]["like"] == 11.0


def test_an_experiment_that_there_is_not_is_named():
    with pytest.raises(UnknownExperiment, match="there is no experiment 'none'"):
        lifecycle.stop("none", **BY)
    run(draft())
    with pytest.raises(Refused, match="has no arm 'blue'"):
        lifecycle.ship("hooks", "blue", **BY)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"key": "Hooks!"}, "key"), ({"key": "plan"}, "key"),
        ({"title": ""}, "title"), ({"title": "x" * 121}, "title"), ({"arms": []}, "arms"),
        ({"arms": [{"key": "a"}, {"key": "a"}]}, "arms"), ({"arms": [{"key": "a"}, 3]}, "arms[1]"),
        ({"arms": [{"key": "a"}, {"key": "b", "weight": 0}]}, "arms[1].weight"),
        ({"arms": [{"key": "a"}, {"key": "b", "overrides": {"x": 1}}]}, "arms[1].overrides"),
        ({"coverage": 1.5}, "coverage"), ({"coverage": "half"}, "coverage"), ({"goals": []}, "goals"),
        ({"goals": ["views", "ctr", "retention_d1", "negative_rate"]}, "goals"), ({"goals": ["profit"]}, "goals"),
        ({"guardrails": ["profit"]}, "guardrails[0]"), ({"alpha": 0.5}, "alpha"), ({"tuned_for": 1}, "tuned_for"),
        ({"guardrails": [{"metric": "views", "margin": -1}]}, "guardrails[0].margin"),
        ({"namespace": "a", "namespace_from": 0.5, "namespace_to": 0.5}, "namespace_to"),
        ({"chosen": {"mia": "blue"}}, "chosen"),
    ],
)  # fmt: skip
def test_a_set_up_that_does_not_hold_is_refused_by_field(changes, field):
    from ranking.experiments.draft import parse  # noqa: PLC0415
    from tests.ranking.experiment_cases import METRICS  # noqa: PLC0415

    whole = {"key": "hooks", "title": "Hooks", "arms": [{"key": "a"}, {"key": "b"}], "goals": ["views"]}
    with pytest.raises(InvalidExperiment) as refused:
        parse(whole | changes, metrics=METRICS)
    assert refused.value.field == field
