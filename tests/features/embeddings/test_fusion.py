"""Fusion of channels: invariances of the sum, and a world whose best weights are known."""

import numpy as np
import pytest

from features.embeddings import fusion
from features.embeddings.fusion import Fusion, fit, standardised


def test_a_channel_counts_the_same_in_any_unit_and_with_any_zero():
    rng = np.random.default_rng(0)
    one, other = rng.random((3, 50)), rng.random(50)
    plain = Fusion({"one": 1.0, "other": 0.5}).scores({"one": one, "other": other})
    moved = Fusion({"one": 1.0, "other": 0.5}).scores({"one": 40 * one - 7, "other": other / 9 + 1})
    assert plain == pytest.approx(moved, abs=1e-4)


def test_a_batch_is_scored_as_its_users_are_one_by_one():
    rng = np.random.default_rng(1)
    channels = {"one": rng.random((4, 30)), "other": rng.random(30)}
    fused = Fusion({"one": 1.0, "other": -0.3})
    single = [fused.scores({"one": row, "other": channels["other"]}) for row in channels["one"]]
    assert fused.scores(channels) == pytest.approx(np.array(single), abs=1e-5)


def test_a_channel_that_knows_nothing_of_a_user_adds_nothing():
    other = np.random.default_rng(2).random(20)
    fused = Fusion({"personal": 1.0, "shared": 0.5}).scores({"personal": np.zeros(20), "shared": other})
    assert fused == pytest.approx(0.5 * standardised(other))


def test_a_missing_channel_and_one_without_any_are_refused():
    with pytest.raises(KeyError, match="b"):
        Fusion({"a": 1.0, "b": 1.0}).scores({"a": np.ones(3)})
    with pytest.raises(ValueError, match="needs a channel with a weight"):
        Fusion({"a": 0.0}).scores({"a": np.ones(3)})
    with pytest.raises(ValueError, match="starts from a personal channel"):
        fit({}, {"hot": np.ones(3)}, lambda scores: 0.0)


def found(scores, target):
    """Share of the users whose target is among the first five."""
    rank = (scores > np.take_along_axis(scores, target[:, None], axis=1)).sum(axis=1)
    return float((rank < 5).mean())


def test_climbing_finds_what_each_channel_knows_and_leaves_noise_alone():
    rng = np.random.default_rng(3)
    users, contents = 600, 120
    taste, hot = rng.normal(size=(users, contents)), rng.normal(size=contents)
    noise = rng.normal(size=(users, contents))
    target = (taste + 0.6 * hot + 0.3 * rng.normal(size=taste.shape)).argmax(axis=1)
    half = users // 2
    fused = fit(
        {"noise": noise[:half], "taste": taste[:half]}, {"hot": hot}, lambda scores: found(scores, target[:half])
    )
    assert fused.weights["taste"] == 1.0, "it starts from the best personal channel"
    assert 0.3 < fused.weights["hot"] < 1.1
    assert abs(fused.weights.get("noise", 0.0)) <= 0.15
    later = {"noise": noise[half:], "taste": taste[half:], "hot": hot}
    assert found(fused.scores(later), target[half:]) > found(taste[half:], target[half:]) + 0.05


def test_climbing_stops_where_nothing_helps_and_says_how_far_it_is():
    steps = []
    personal = {"only": np.random.default_rng(4).normal(size=(5, 9))}
    fused = fit(personal, {}, lambda scores: 1.0, progress=lambda done, most: steps.append((done, most)))
    assert fused.weights == {"only": 1.0}
    assert steps == [(1, 3)]
    assert fusion.LEAST_GAIN > 0
