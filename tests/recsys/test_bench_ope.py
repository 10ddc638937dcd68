"""The off-policy benchmark: what counts as covering the truth, and a folder that is refused."""

import numpy as np
import pytest

from ranking.evaluation.counterfactual import Estimate, LoggedPicks
from ranking.evaluation.intervals import Interval
from recsys.benchmarks import ope
from recsys.benchmarks.ope import Case
from recsys.benchmarks.results import Options
from recsys.benchmarks.scratch import BenchmarkFailedError

ANY = LoggedPicks(np.ones(2), np.zeros(2, int), np.full(2, 0.5), np.full((2, 2), 0.5))


def test_in_the_made_world_every_estimate_covers_the_known_value():
    result = ope.run(Options())
    assert [bar.holds for bar in result.bars] == [True, True]
    assert {row[1] for row in result.rows} == {"ips", "snips", "dr", "sndr"}


def test_the_truth_is_covered_when_the_difference_may_be_chance():
    exact = Case("exact", ANY, 0.5, Interval(0.5, 0.5))
    assert exact.covered_by(Estimate(0.4, Interval(0.2, 0.51)))
    assert not exact.covered_by(Estimate(0.4, Interval(0.2, 0.49)))
    vague = Case("vague", ANY, 0.5, Interval(0.45, 0.55))
    assert vague.covered_by(Estimate(0.4, Interval(0.2, 0.49))), "0.1 lies within the root of 0.09^2 + 0.05^2"
    assert not vague.covered_by(Estimate(0.3, Interval(0.2, 0.39)))
    assert not vague.covered_by(Estimate(0.7, Interval(0.61, 0.8)))


@pytest.fixture
def bandit(tmp_path):
    rng = np.random.default_rng(0)
    rate = np.array([0.1, 0.3, 0.5, 0.2])
    for file, chance in (("random-all.csv", np.full(4, 0.25)), ("bts-all.csv", np.array([0.1, 0.2, 0.5, 0.2]))):
        lines = ["item_id,position,click,propensity_score"]
        for _ in range(3000):
            item = rng.choice(4, p=chance)
            click = int(rng.random() < rate[item])
            lines.append(f"{item},{1 + rng.integers(2)},{click},{chance[item]}")
        (tmp_path / file).write_text("\n".join(lines) + "\n")
    return tmp_path


def test_both_directions_are_estimated_at_each_position(bandit):
    result = ope.run(Options(path=bandit))
    assert {row[0] for row in result.rows} == {
        f"{one}, {where}"
        for one in ("Thompson from uniform", "uniform from Thompson")
        for where in ("all positions", "position 1", "position 2")
    }
    true = 0.1 * 0.1 + 0.2 * 0.3 + 0.5 * 0.5 + 0.2 * 0.2
    assert result.figures["Thompson from uniform, all positions: snips"] == pytest.approx(true, abs=0.04)
    assert result.bars[0].value == 24


def test_a_policy_without_support_is_refused_and_counts_as_no_answer(bandit):
    lines = (bandit / "bts-all.csv").read_text().splitlines()
    rare = [line for line in lines[1:] if line.startswith("0,")][:1]
    rows = [line for line in lines[1:] if line.startswith("2,")] + [rare[0].rsplit(",", 1)[0] + ",0.0001"]
    (bandit / "bts-all.csv").write_text("\n".join([lines[0], *rows]) + "\n")
    result = ope.run(Options(path=bandit))
    refused = [row[0] for row in result.rows if row[1] == "refused"]
    assert "uniform from Thompson, all positions" in refused


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(BenchmarkFailedError, match="is no Open Bandit folder"):
        ope.run(Options(path=tmp_path))
