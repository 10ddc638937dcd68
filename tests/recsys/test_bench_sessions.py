"""The sessions benchmark: a log of the promised shape, engines that agree, and no comparison where they do not."""

import json

import numpy as np
import pytest

from recsys.benchmarks import session_engines, sessions
from recsys.benchmarks.results import Options
from recsys.benchmarks.scratch import BenchmarkFailedError


@pytest.fixture
def log(tmp_path):
    sessions.write_log(tmp_path, events=3_000)
    return tuple(np.load(tmp_path / f"{name}.npy") for name in ("user", "time", "watch"))


def test_the_log_is_in_order_of_time_and_has_sessions_of_several_events(log):
    user, when, watch = log
    assert len(user) == len(when) == len(watch) == 3_000
    assert (np.diff(when) >= 0).all()
    assert 1_200 < session_engines.recsys(log)()[0] < 2_400


@pytest.mark.parametrize("engine", ["numpy", "numpy_ordered", "duckdb"])
def test_every_engine_finds_the_same_sessions(log, engine):
    if engine == "duckdb":
        pytest.importorskip("duckdb")
    ours, theirs = session_engines.recsys(log)(), session_engines.ENGINES[engine](log)()
    assert ours[0] == theirs[0]
    assert ours[1:] == pytest.approx(theirs[1:], rel=1e-6)


def test_engines_that_disagree_are_not_compared():
    ours = {"seconds": 1.0, "peak_gb": 0.1, "sessions": 5, "start_s": 1.0, "duration_s": 2.0}
    with pytest.raises(BenchmarkFailedError, match="numpy found other sessions"):
        sessions._check_equal({"recsys": ours, "numpy": {**ours, "sessions": 6}})


def test_the_benchmark_states_times_memory_and_who_was_not_there(monkeypatch):
    monkeypatch.setattr(sessions, "QUICK_EVENTS", 20_000)
    result = sessions.run(Options(quick=True))
    assert {"recsys_s", "numpy_s", "numpy_ordered_s", "recsys_peak_gb", "times_fastest"} <= set(result.figures)
    assert ("duckdb_s" in result.figures) != any(row[1].startswith("not installed") for row in result.rows)
    assert [bar.bound for bar in result.bars] == [1.5, 2.0]
    json.dumps(result.to_json())
