"""Increments and the full training see the same exposures, in order, and come out alike on a log that tells the same
all the time."""

import json

import numpy as np
import pytest

from ranking.ranker.blend import BlendConfig
from ranking.ranker.multitask import MultiTaskConfig
from ranking.ranker.trees import TreesConfig
from recsys.benchmarks import incremental
from recsys.benchmarks.incremental import DAYS
from recsys.benchmarks.quality_data import DAY_S
from recsys.benchmarks.quality_exposures import Exposures
from recsys.benchmarks.scratch import BenchmarkFailedError
from tests.recsys.test_bench_quality_ranking import rows_of


@pytest.fixture(scope="module")
def exposures():
    rng = np.random.default_rng(0)
    user = np.sort(rng.integers(0, 300, 2_000))
    moments = np.sort(rng.uniform(0.0, 8 * DAY_S, 6_600))
    return Exposures("own", rows_of(rng, 6_000), rows_of(rng, 600), rows_of(rng, 2_000), user, user, moments)


def test_spans_are_days_where_the_log_has_them_and_equal_parts_where_not():
    long = incremental._spans(np.arange(0.0, 10 * DAY_S, 3_600.0))
    assert [len(span) for span in long] == [120, *[24] * DAYS]
    short = incremental._spans(np.arange(0.0, 600.0))
    assert [len(span) for span in short] == [101, 100, 100, 100, 100, 99]
    assert np.concatenate(short).tolist() == list(range(600))


def test_increments_take_at_most_so_many_rows_and_replay_earlier_ones_only():
    chunks = incremental._chunks(np.arange(25_000))
    assert [len(chunk) for chunk in chunks] == [8_334, 8_333, 8_333]
    old = incremental._replayed(np.arange(1_000), 2_000)
    assert len(old) == 400
    assert len(np.unique(old)) == 400
    assert old.max() < 1_000
    assert len(incremental._replayed(np.arange(10), 2_000)) == 10


@pytest.mark.timeout(1200)
def test_increments_come_near_one_full_training(exposures, monkeypatch):
    small = MultiTaskConfig(
        cross_rank=4, trunk=16, experts=2, expert_units=8, tower_units=4, epochs=5, batch_size=64, initial_rate=5e-3
    )
    both = BlendConfig(small, TreesConfig(most_trees=10, least_in_leaf=20))
    monkeypatch.setattr(incremental, "BlendConfig", lambda *_parts: both)
    # What five increments do, two do: each one costs its tracing.
    monkeypatch.setattr(incremental, "DAYS", 2)
    result = incremental.measure(exposures)
    json.dumps(result.to_json())
    figures = result.figures
    assert figures["increments"] == 2
    assert [row[0] for row in result.rows].count(incremental.REFIT) == 2
    assert len(result.rows) == 6
    assert figures["AUC of the full training"] > 0.6
    assert figures["increments less full training"] > -0.05
    assert figures["slowest increment, s of 10,000 examples"] > 0
    assert result.bars == (), "nothing is promised of a log of one's own"


def test_a_log_with_a_gap_is_refused(exposures):
    gap = np.append(np.linspace(0.0, 1.0, 6_599), 20 * DAY_S)
    broken = Exposures(
        "own", exposures.learned_from, exposures.held_out, exposures.test, exposures.user, exposures.session, gap
    )
    with pytest.raises(BenchmarkFailedError, match="no exposures in one of 6 spans"):
        incremental.measure(broken)
