"""The population stability index against arithmetic written out."""

import math

import numpy as np
import pytest

from ranking.evaluation.drift import CALM, LEAST_SHARE, MOVED, Reference


def test_index_is_the_sum_over_bins():
    reference = Reference((0.5,), (0.5, 0.5))
    values = np.array([0.1, 0.9, 0.9, 0.9])
    expected = (0.25 - 0.5) * math.log(0.25 / 0.5) + (0.75 - 0.5) * math.log(0.75 / 0.5)
    assert reference.psi(values) == pytest.approx(expected)


def test_an_empty_bin_counts_as_a_thousandth():
    reference = Reference((0.5,), (0.5, 0.5))
    expected = (LEAST_SHARE - 0.5) * math.log(LEAST_SHARE / 0.5) + 0.5 * math.log(2.0)
    assert reference.psi(np.ones(10)) == pytest.approx(expected)


def test_bins_are_tenths_and_the_same_values_have_not_moved():
    values = np.random.default_rng(1).normal(size=5_000)
    reference = Reference.of(values)
    assert len(reference.edges) == 9
    assert reference.shares == pytest.approx([0.1] * 10, abs=0.001)
    assert reference.psi(values) == pytest.approx(0.0, abs=1e-9)
    assert Reference.from_json({"edges": list(reference.edges), "shares": list(reference.shares)}) == reference


def test_another_sample_is_calm_and_a_shifted_one_is_another_population():
    rng = np.random.default_rng(2)
    reference = Reference.of(rng.normal(size=5_000))
    assert reference.psi(rng.normal(size=2_000)) < CALM / 2
    assert reference.psi(rng.normal(1.0, size=2_000)) > MOVED


def test_a_column_of_one_value_moves_when_another_comes():
    reference = Reference.of(np.zeros(100))
    assert reference.psi(np.zeros(50)) == 0.0
    assert reference.psi(np.full(50, -1.0)) > MOVED


def test_nothing_is_no_reference_and_has_not_moved():
    with pytest.raises(ValueError, match="at least one value"):
        Reference.of(np.empty(0))
    assert Reference.of(np.arange(10.0)).psi(np.empty(0)) == 0.0
