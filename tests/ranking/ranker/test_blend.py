"""Trees serve as they were fitted, and the blend takes from network and trees what later examples say."""

import io

import numpy as np
import onnxruntime
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from ranking.evaluation.offline import auc
from ranking.ranker import bundle
from ranking.ranker.blend import FILES, TREES_FILE, BlendConfig, FittedBlend, files_of, fit_blend, go_on, mixed
from ranking.ranker.bundle import Manifest
from ranking.ranker.examples import FeatureMatrix
from ranking.ranker.heads import COLUMN
from ranking.ranker.multitask import FittedMultiTask, fit_multitask
from ranking.ranker.platt import sigmoid
from ranking.ranker.reading import OUTPUTS, Reading
from ranking.ranker.training_set import TrainingSet
from ranking.ranker.tree_graph import rounded_down
from ranking.ranker.trees import TreesConfig, fit_trees, joined, regrow
from ranking.ranker.warm_start import GoOnConfig
from ranking.ranker.watch_time import LEVELS
from tests.ranking.ranker.sets import answers, long_views
from tests.ranking.ranker.test_multitask import DIMS, DURATION, SMALL

TREES = TreesConfig(most_trees=40, leaves=8, least_in_leaf=20, rate=0.2, columns_share=1.0)


def stepped(rng, n):
    """Long views follow steps that only trees see, likes a line, and watch time both."""
    features = FeatureMatrix(*(rng.normal(0, 1, (n, width)).astype(np.float32) for width in DIMS.values()))
    features.content[:, DURATION] = np.log1p(rng.choice([6.0, 60.0], n))
    step = np.sign(np.sin(6.0 * features.content[:, 0])) * np.sign(features.user[:, 0])
    long_view = rng.random(n) < sigmoid(2.5 * step)
    like = rng.random(n) < sigmoid(2.0 * features.context[:, 1] - 1.0)
    watch_s = np.expm1(features.content[:, DURATION]) * sigmoid(2.0 * step + rng.normal(0, 1, n))
    hide = np.zeros(n)
    hide[:5] = 1.0
    labels = answers(watch_s, long_view=long_view, like=like, hide=hide, report=np.zeros(n))
    return TrainingSet(features, labels, np.full(n, -1, np.int16))


def turned(rng, n):
    """A world of the same features in which long views follow other steps."""
    rows = stepped(rng, n)
    step = np.sign(np.sin(3.0 * rows.features.content[:, 0]))
    rows.labels.heads[:, COLUMN["long_view"]] = rng.random(n) < sigmoid(2.5 * step)
    return rows


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(3)
    train, held_out, test = stepped(rng, 4_000), stepped(rng, 2_000), stepped(rng, 2_000)
    blend = fit_blend(train, held_out, config=BlendConfig(SMALL, TREES), seed=1)
    assert isinstance(blend, FittedBlend)
    return blend, Reading.fit(blend, train, held_out), train, held_out, test


def test_graph_of_trees_says_what_scikit_learn_says(fitted):
    blend, _, train, held_out, test = fitted
    trees = fit_trees(train, held_out, config=TREES, seed=1)
    model = HistGradientBoostingClassifier(
        max_iter=40, max_leaf_nodes=8, min_samples_leaf=20, learning_rate=0.2, l2_regularization=TREES.l2,
        early_stopping=True, n_iter_no_change=TREES.patience, random_state=1,
    ).fit(
        joined(train.features), train.labels.of("long_view"),
        X_val=joined(held_out.features), y_val=held_out.labels.of("long_view"),
    )  # fmt: skip
    expected = model.decision_function(joined(test.features))
    np.testing.assert_allclose(trees.outputs(test.features)[:, 0], expected, rtol=1e-4, atol=1e-4)
    assert trees.columns == blend.columns == ("long_view", "like")
    assert trees.outputs(test.features).shape[1] == len(trees.columns) + 1


def test_blend_orders_at_least_as_well_as_either_part(fitted):
    blend, _, _, _, test = fitted
    label = test.labels.of("long_view").astype(np.int8)
    ours = auc(label, blend.outputs(test.features)[:, 0].astype(np.float64))
    parts = [auc(label, part.outputs(test.features)[:, 0].astype(np.float64)) for part in (blend.network, blend.trees)]
    assert ours > max(parts) - 0.01
    of_network, of_trees = blend.weights["long_view"]
    assert of_trees > of_network, "only trees see steps"
    assert blend.weights["like"][0] > 0.1


def test_head_whose_later_answers_are_few_takes_both_in_equal_parts(fitted):
    blend, _, _, held_out, _ = fitted
    silent = held_out.labels.heads.copy()
    silent[20:, COLUMN["like"]] = np.nan
    few = TrainingSet(held_out.features, type(held_out.labels)(silent, held_out.labels.watch_s), held_out.position)
    mix = mixed(blend.network, blend.trees, few)
    size = len(blend.columns) + len(LEVELS)
    assert mix[1, 1] == mix[size + 1, 1] == 0.5


def test_one_graph_serves_network_and_trees(fitted, tmp_path):
    blend, reading, _, _, test = fitted
    graph = blend.to_onnx(test.features)
    bundle.save(tmp_path, graph, reading.to_bytes(), manifest=Manifest("v", "blend", "f", DIMS, "", {}, {}, {}))
    loaded = bundle.load(tmp_path, feature_set="f")
    told = reading.read(blend.outputs(test.features), test.duration_s)
    for n in (0, 1, 300):
        part = test.features.rows(slice(0, n))
        given = {"user": part.user, "content": part.content, "context": part.context}
        np.testing.assert_allclose(loaded.head_rows(given), told[:n], rtol=1e-3, atol=1e-4)


def test_seconds_order_as_ranks_and_are_right_on_average(fitted):
    blend, reading, _, _, test = fitted
    seconds = reading.read(blend.outputs(test.features), test.duration_s)[:, OUTPUTS.index("watch_s")]
    assert seconds.mean() == pytest.approx(test.labels.watch_s.mean(), rel=0.08)
    assert (seconds >= 0.0).all()
    again = Reading.from_bytes(reading.to_bytes())
    np.testing.assert_array_equal(again.curve, reading.curve)


def test_reading_of_before_there_were_ranks_still_serves(fitted):
    blend, reading, _, _, test = fitted
    with np.load(io.BytesIO(reading.to_bytes())) as stored:
        old = {name: stored[name] for name in stored.files if name not in ("step_rank", "curve")}
    written = io.BytesIO()
    np.savez(written, **old)
    told = Reading.from_bytes(written.getvalue()).read(blend.outputs(test.features), test.duration_s)
    assert told[:, OUTPUTS.index("watch_s")].mean() == pytest.approx(test.labels.watch_s.mean(), rel=0.1)


def test_thresholds_ask_float32_what_they_asked_float64():
    values = np.float32([0.1, 0.3, -2.7, 1e-8])
    between = values.astype(np.float64) - 1e-12
    assert not (values <= rounded_down(between)).any()
    assert (values <= rounded_down(values.astype(np.float64) + 1e-12)).all()


def test_nothing_to_learn_gives_the_network_alone():
    rng = np.random.default_rng(0)
    rows = stepped(rng, 300)
    label = (rows.features.content[:, 0] > 0).astype(np.float32)
    one = long_views(rows.features, label)
    blend = fit_blend(one, one, config=BlendConfig(SMALL, TREES), seed=1)
    assert blend.columns == ("long_view",)
    graph = onnxruntime.InferenceSession(blend.to_onnx(rows.features))
    assert graph.get_outputs()[0].shape[-1] == 1


def test_an_increment_keeps_the_trees_and_weighs_the_network_anew(fitted):
    blend, _, _, _, test = fitted
    files = files_of(blend)
    assert set(files) == set(FILES)
    rng = np.random.default_rng(8)
    later = go_on(files, stepped(rng, 1_000), stepped(rng, 800), network=SMALL, config=GoOnConfig(epochs=1), seed=1)
    assert isinstance(later, FittedBlend)
    assert np.array_equal(later.trees.outputs(test.features), blend.trees.outputs(test.features))
    assert later.columns == blend.columns
    label, at = test.labels.of("long_view").astype(np.int8), later.columns.index("long_view")
    alone, both = (each.outputs(test.features)[:, at].astype(np.float64) for each in (later.network, later))
    # The steps are what trees see and the network does not.
    assert auc(label, both) > auc(label, alone) + 0.02
    assert later.to_onnx(test.features)


def test_a_refit_grows_new_trees_but_where_there_is_nothing_to_grow_them_from(fitted):
    blend, _, _, _, test = fitted
    rng = np.random.default_rng(10)
    train, held_out = turned(rng, 3_000), turned(rng, 1_000)
    train.labels.heads[:, COLUMN["like"]] = np.nan
    trees = regrow(blend.trees, train, held_out, config=TREES, seed=1)
    anew = fit_trees(train, held_out, config=TREES, seed=1)
    now, before, told = (each.outputs(test.features) for each in (trees, blend.trees, anew))
    assert (trees.columns, anew.columns) == (("long_view", "like"), ("long_view",))
    # Nobody said whether they like anything.
    np.testing.assert_allclose(now[:, 1], before[:, 1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(now[:, 0], told[:, 0], rtol=1e-5, atol=1e-5)
    # Levels are those that the network knows, measured on other examples.
    assert trees.scale is blend.trees.scale
    assert not np.array_equal(now[:, 2], before[:, 2])
    label = turned(rng, 2_000)
    auc_now, auc_before = (
        auc(label.labels.of("long_view").astype(np.int8), each.outputs(label.features)[:, 0].astype(np.float64))
        for each in (trees, blend.trees)
    )
    assert auc_now > auc_before + 0.2
    few = TrainingSet(train.features.rows(slice(0, 20)), train.labels.rows(slice(0, 20)), train.position[:20])
    again = regrow(trees, few, held_out, config=TREES, seed=1)
    assert again is trees


def test_an_increment_that_may_grow_trees_follows_what_has_turned(fitted):
    files, rng = files_of(fitted[0]), np.random.default_rng(11)
    given = {"network": SMALL, "config": GoOnConfig(epochs=1), "seed": 1}
    train, held_out, test = turned(rng, 3_000), turned(rng, 1_000), turned(rng, 2_000)
    kept, grown = (go_on(files, train, held_out, trees=trees, **given) for trees in (None, TREES))
    label = test.labels.of("long_view").astype(np.int8)
    kept_auc, grown_auc = (auc(label, each.outputs(test.features)[:, 0].astype(np.float64)) for each in (kept, grown))
    assert grown_auc > kept_auc + 0.1
    assert grown.to_onnx(test.features)
    assert files_of(grown)[TREES_FILE] == grown.trees.graph


def test_a_network_alone_goes_on_alone(fitted):
    blend = fitted[0]
    files = files_of(blend.network)
    rng = np.random.default_rng(9)
    later = go_on(files, stepped(rng, 400), stepped(rng, 200), network=SMALL, config=GoOnConfig(epochs=1), seed=1)
    assert isinstance(later, FittedMultiTask)


def test_head_of_late_answers_says_the_share_of_the_newest_that_are_known():
    rng = np.random.default_rng(9)
    train, held_out, test = stepped(rng, 3_000), stepped(rng, 600), stepped(rng, 600)
    returned = np.where(np.arange(3_000) < 2_000, rng.random(3_000) < 0.8, rng.random(3_000) < 0.3).astype(np.float32)
    returned[2_900:] = np.nan
    train.labels.heads[:, COLUMN["return_24h"]] = returned
    # What is known of the held-out part are visits of a single night.
    held_out.labels.heads[:80, COLUMN["return_24h"]] = np.arange(80) % 10 > 0
    network = fit_multitask(train, held_out, config=SMALL, seed=1)
    reading = Reading.fit(network, train, held_out)
    chance = reading.read(network.outputs(test.features), test.duration_s)[:, COLUMN["return_24h"]]
    assert chance.mean() == pytest.approx(0.3, abs=0.06)
    train.labels.heads[:, COLUMN["return_24h"]] = np.where(returned == 1, 1.0, np.nan)
    assert not Reading.fit(network, train, held_out).learned("return_24h")
