"""Every head learns its own thing, says its base rate where it cannot, and serves from one graph as it was trained."""

import numpy as np
import pytest

from features.extraction.definitions import NAMES
from ranking.evaluation.offline import auc, ece
from ranking.ranker import bundle
from ranking.ranker.bundle import BundleError, Manifest
from ranking.ranker.examples import FeatureMatrix
from ranking.ranker.heads import COLUMN, HEADS, base_chance
from ranking.ranker.multitask import MultiTaskConfig, fit_multitask
from ranking.ranker.network import NetworkConfig, fit_network
from ranking.ranker.platt import sigmoid
from ranking.ranker.reading import OUTPUTS, Reading, ReadingError
from ranking.ranker.training_set import TrainingSet, learnable_heads
from ranking.ranker.watch_time import LEVELS
from tests.ranking.ranker.sets import answers, long_views

SMALL = MultiTaskConfig(
    cross_rank=4, trunk=24, experts=2, expert_units=12, tower_units=6, epochs=6, batch_size=64, initial_rate=5e-3
)
DURATION = NAMES["content"].index("content_duration")
DIMS = {"user": 2, "content": DURATION + 1, "context": 2}


def world(rng, n, *, top=0.0):
    """Long views follow the first content feature, likes the second of the context, watch time the first.

    A long view is likelier at position 0 by `top` in the logit, and good contents are shown there.
    """
    features = FeatureMatrix(*(rng.normal(0, 1, (n, width)).astype(np.float32) for width in DIMS.values()))
    duration = rng.choice([6.0, 60.0], n)
    features.content[:, DURATION] = np.log1p(duration)
    good, liked = features.content[:, 0], features.context[:, 1]
    position = np.where(rng.random(n) < sigmoid(2.0 * features.content[:, 2]), 0, 9).astype(np.int16)
    long_view = rng.random(n) < sigmoid(2.5 * good - 0.5 + top * (position == 0))
    like = rng.random(n) < sigmoid(2.5 * liked - 2.0)
    watch_s = duration * np.clip(rng.beta(2, 2, n) * sigmoid(2.0 * good) * 2.0, 0.0, 1.0)
    hide = np.zeros(n)
    hide[:5] = 1.0
    labels = answers(watch_s, long_view=long_view, like=like, hide=hide, report=np.zeros(n))
    labels.heads[: n // 10, COLUMN["like"]] = np.nan
    return TrainingSet(features, labels, position)


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(7)
    train, held_out, test = world(rng, 3_000), world(rng, 1_000), world(rng, 2_000)
    ranker = fit_multitask(train, held_out, config=SMALL, seed=1)
    return ranker, Reading.fit(ranker, train, held_out), train, test


def told(fitted):
    ranker, reading, _, test = fitted
    return reading.read(ranker.outputs(test.features), test.duration_s).astype(np.float64)


@pytest.mark.parametrize("head", ["long_view", "like"])
def test_head_orders_and_is_calibrated_on_later_examples(fitted, head):
    label, chance = fitted[3].labels.of(head), told(fitted)[:, COLUMN[head]]
    known = ~np.isnan(label)
    assert auc(label[known].astype(np.int8), chance[known]) > 0.75
    assert ece(label[known].astype(np.int8), chance[known], bins=10) < 0.06


def test_head_of_few_positives_and_head_without_answers_say_their_base_rates(fitted):
    _, reading, train, _ = fitted
    base, heads = base_chance(train.labels), told(fitted)
    assert learnable_heads(train.labels) == ("long_view", "like")
    for head in ("hide", "report", "follow", "return_24h"):
        assert not reading.learned(head)
        assert heads[:, COLUMN[head]] == pytest.approx(base[COLUMN[head]], rel=1e-5)
    assert 0.0 < base[COLUMN["report"]] < 1e-3


def test_expected_seconds_are_unbiased_and_debiased_ones_do_not_follow_length(fitted):
    test, heads = fitted[3], told(fitted)
    seconds, debiased = heads[:, OUTPUTS.index("watch_s")], heads[:, OUTPUTS.index("debiased_watch_s")]
    assert seconds.mean() == pytest.approx(test.labels.watch_s.mean(), rel=0.08)
    for length in (6.0, 60.0):
        own = np.isclose(test.duration_s, length, rtol=1e-3)
        assert np.corrcoef(seconds[own], test.labels.watch_s[own])[0, 1] > 0.3
        assert seconds[own].mean() == pytest.approx(test.labels.watch_s[own].mean(), rel=0.1)
    short = np.isclose(test.duration_s, 6.0, rtol=1e-3)
    assert debiased[~short].mean() == pytest.approx(debiased[short].mean(), rel=0.1)


def test_one_graph_gives_all_heads_as_keras_does_for_any_number_of_rows(fitted, tmp_path):
    ranker, reading, _, test = fitted
    manifest = Manifest("v", "multitask", "f", DIMS, "", {}, {}, {}, {"taste": 1.5})
    bundle.save(tmp_path, ranker.to_onnx(test.features), reading.to_bytes(), manifest=manifest)
    loaded = bundle.load(tmp_path, feature_set="f")
    assert loaded.manifest.fusion == {"taste": 1.5}
    for n in (0, 1, 2, 300):
        part = test.features.rows(slice(0, n))
        given = {"user": part.user, "content": part.content, "context": part.context}
        assert loaded.head_rows(given).shape == (n, len(loaded.outputs))
        np.testing.assert_allclose(loaded.head_rows(given), told(fitted)[:n], rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(loaded.score_rows(given), loaded.head_rows(given)[:, COLUMN["long_view"]])


def test_damaged_reading_is_refused_at_load(fitted, tmp_path):
    ranker, reading, _, test = fitted
    manifest = Manifest("v", "multitask", "f", DIMS, "", {}, {}, {})
    graph = ranker.to_onnx(test.features)
    for content in (b"", b"no npz", reading.to_bytes()[:-30]):
        bundle.save(tmp_path, graph, content, manifest=manifest)
        with pytest.raises(BundleError, match=r"heads\.npz cannot be read"):
            bundle.load(tmp_path, feature_set="f")


def test_reading_survives_its_file_and_one_of_other_heads_is_refused(fitted, monkeypatch):
    ranker, reading, _, test = fitted
    again = Reading.from_bytes(reading.to_bytes())
    outputs = ranker.outputs(test.features)
    np.testing.assert_array_equal(again.read(outputs, test.duration_s), reading.read(outputs, test.duration_s))
    stored = reading.to_bytes()
    monkeypatch.setattr("ranking.ranker.reading.HEADS", ("long_view",))
    with pytest.raises(ReadingError, match="it has heads"):
        Reading.from_bytes(stored)


def test_position_is_learned_apart_and_left_out_when_serving():
    rng = np.random.default_rng(11)
    train, held_out, test = (world(rng, n, top=4.0) for n in (3_000, 1_000, 2_000))
    ranker = fit_multitask(train, held_out, config=SMALL, seed=2)
    logit = ranker.outputs(test.features)[:, ranker.columns.index("long_view")].astype(np.float64)

    def reach(examples):
        """How much of the long view's logit is put down to what only decided the position."""
        blind = TrainingSet(examples.features, examples.labels, np.full(len(examples), -1, np.int16))
        other = fit_multitask(blind, held_out, config=SMALL, seed=2)
        return other.outputs(test.features)[:, other.columns.index("long_view")].astype(np.float64)

    shown_first = test.features.content[:, 2]
    own = np.polyfit(shown_first, logit, 1)[0]
    without = np.polyfit(shown_first, reach(train), 1)[0]
    assert without > 0.4
    assert own < 0.5 * without


def test_backward_head_says_its_base_rate(fitted):
    ranker, _, train, test = fitted
    labels = answers(test.labels.watch_s, long_view=1 - test.labels.of("long_view"), like=test.labels.of("like"))
    reading = Reading.fit(ranker, train, TrainingSet(test.features, labels, test.position))
    assert not reading.learned("long_view")
    assert reading.learned("like")


def test_source_network_stands_behind_the_same_interface(fitted):
    _, _, train, test = fitted
    source = NetworkConfig(hidden=(16,), epochs=4, batch_size=64, initial_rate=5e-3)
    ranker = fit_network(train, test, config=source, seed=1)
    reading = Reading.fit(ranker, train, test)
    heads = reading.read(ranker.outputs(test.features), test.duration_s)
    assert [head for head in HEADS if reading.learned(head)] == ["long_view"]
    assert np.ptp(heads[:, COLUMN["like"]]) == 0.0
    order = np.argsort(heads[:, COLUMN["long_view"]])
    assert (np.diff(heads[order, OUTPUTS.index("watch_s")]) >= 0).all()
    assert heads[:, OUTPUTS.index("watch_s")].mean() == pytest.approx(test.labels.watch_s.mean(), rel=0.15)


def test_nothing_but_one_head_can_be_learned_too():
    rng = np.random.default_rng(5)
    features = world(rng, 400).features
    label = (features.content[:, 0] > 0).astype(np.float32)
    ranker = fit_multitask(long_views(features, label), long_views(features, label), config=SMALL, seed=1)
    assert (ranker.columns, ranker.scale) == (("long_view",), None)
    assert ranker.outputs(features).shape == (400, 1)
    watches = answers(features.content[:, 0] + 9.0, long_view=np.ones(400))
    only_levels = TrainingSet(features, watches, np.zeros(400, np.int16))
    ranker = fit_multitask(only_levels, only_levels, config=SMALL, seed=1)
    assert ranker.columns == ()
    assert ranker.outputs(features).shape == (400, len(LEVELS))


def test_empty_side_is_refused():
    rows = world(np.random.default_rng(0), 10)
    nothing = TrainingSet(rows.features.rows(slice(0, 0)), rows.labels.rows(slice(0, 0)), rows.position[:0])
    with pytest.raises(ValueError, match="got 10 and 0"):
        fit_multitask(rows, nothing, config=SMALL, seed=1)
