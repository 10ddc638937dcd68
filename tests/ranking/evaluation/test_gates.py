"""Each gate refuses alone, with a sentence that names the figure."""

import re

import pytest

from ranking.evaluation.gates import Gates, failed_gates


def metrics(**changes):
    test = {"examples": 5000, "auc": 0.71, "auc_interval": {"low": 0.69, "high": 0.73}} | changes.pop("test", {})
    return {"train_examples": 30_000, "test": test, "champion": None} | changes


def champion(low, high):
    return {"version": "ranker-old", "auc_difference_interval": {"low": low, "high": high}}


@pytest.mark.parametrize(
    "good", [metrics(), metrics(champion=champion(-0.02, 0.001)), metrics(champion=champion(0.01, 0.02))]
)
def test_good_model_passes_also_beside_a_champion_it_does_not_clearly_lose_to(good):
    assert failed_gates(good, Gates()) == ()


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (metrics(train_examples=499), "499 training examples; at least 500"),
        (metrics(test={"examples": 99}), "99 test examples; at least 100"),
        (metrics(test={"auc": None, "auc_interval": None}), "AUC has no interval"),
        (metrics(test={"auc": 0.52, "auc_interval": {"low": 0.49, "high": 0.55}}), "AUC 0.5200 may be chance"),
        (metrics(champion=champion(-0.03, -0.01)), "clearly worse than ranker-old .* -0.0300 to -0.0100"),
    ],
)
def test_each_gate_refuses_alone(bad, sentence):
    failed = failed_gates(bad, Gates())
    assert len(failed) == 1
    assert re.search(sentence, failed[0])


def test_champion_that_cannot_be_compared_blocks_nothing():
    incomparable = {"version": "ranker-old", "auc_difference_interval": None}
    assert failed_gates(metrics(champion=incomparable), Gates()) == ()


@pytest.mark.parametrize(("examples", "ece", "passes"), [(900, 0.14, True), (900, 0.16, False), (90_000, 0.05, False)])
def test_calibration_error_beyond_chance_is_said(examples, ece, passes):
    test = {"examples": examples, "auc": 0.7, "auc_interval": {"low": 0.6, "high": 0.8}, "ece": ece}
    failed = failed_gates({"train_examples": 900, "test": test, "champion": None}, Gates())
    assert (failed == ()) == passes
    assert passes or f"calibration error {ece:.4f} on {examples} test examples" in failed[0]


def test_figures_that_are_not_finite_are_said():
    test = {"examples": 900, "auc": 0.7, "auc_interval": {"low": 0.6, "high": 0.8}, "ece": 0.01}
    failed = failed_gates({"train_examples": 900, "test": test, "champion": None, "nan_share": 0.002}, Gates())
    assert failed == ("0.20% of the figures of its heads are not finite",)
