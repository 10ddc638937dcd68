"""The index benchmark: rows of the promised shape, and engines that find what is there."""

import json

import numpy as np
import pytest

from recsys.benchmarks import index
from recsys.benchmarks.results import Options


def test_the_rows_are_unit_vectors_around_common_centres():
    rows, others = index.clustered(3_000), index.clustered(500, seed=1)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(3_000), abs=1e-5)
    nearest = (others @ rows.T).max(axis=1)
    assert 0.3 < np.median(nearest) < 0.7, "alike, and far from equal"
    assert np.array_equal(rows, index.clustered(3_000))


@pytest.mark.django_db
def test_every_engine_that_is_there_finds_nearly_all_and_says_what_it_cost(monkeypatch):
    monkeypatch.setattr(index, "QUICK_SIZES", (1_500,))
    monkeypatch.setattr(index, "QUERIES", 20)
    result = index.run(Options(quick=True))
    json.dumps(result.to_json())
    assert result.figures["recsys_flat_1500_recall"] == result.figures["numpy_1500_recall"] == 1.0
    recalls = [value for name, value in result.figures.items() if name.endswith("_recall")]
    assert min(recalls) > 0.9
    assert {bar.bound for bar in result.bars} == {0.98, 300.0}
    assert len(result.rows) == 4, "four engines, measured or named as missing"
