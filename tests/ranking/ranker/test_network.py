"""The network learns what can be learned, forgets on refit, and exports what it computes."""

import numpy as np
import pytest

from ranking.evaluation.offline import auc
from ranking.ranker.bundle import Manifest, load, save
from ranking.ranker.examples import FeatureMatrix
from ranking.ranker.keras_fit import ExportError
from ranking.ranker.network import FittedNetwork, NetworkConfig, fit_network
from tests.ranking.ranker.sets import long_views

SMALL = NetworkConfig(hidden=(16, 8), epochs=6, batch_size=64, initial_rate=5e-3)


def world(rng, n=1200):
    """The label is likely when the context agrees with the content's sign; scales and means differ widely."""
    user = rng.normal(1000, 50, (n, 3)).astype(np.float32)
    content = rng.normal(0, 1, (n, 4)).astype(np.float32)
    context = rng.normal(-3, 0.01, (n, 2)).astype(np.float32)
    agreement = content[:, 0] * (context[:, 0] + 3) / 0.01
    label = (rng.random(n) < 1 / (1 + np.exp(-3 * agreement))).astype(np.int8)
    return FeatureMatrix(user, content, context), label


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(7)
    train, train_label = world(rng)
    validation, validation_label = world(rng, 400)
    epochs = []
    network = fit_network(
        long_views(train, train_label), long_views(validation, validation_label), config=SMALL, seed=1,
        progress=lambda done, total: epochs.append((done, total)),
    )  # fmt: skip
    return network, validation, validation_label, epochs


def test_network_learns_an_interaction_whatever_the_scale_of_the_features(fitted):
    network, rows, label, _ = fitted
    assert auc(label, network.outputs(rows)[:, 0]) > 0.75


def test_rate_rises_after_a_better_epoch_and_halves_after_a_worse_one(fitted):
    network, _, _, epochs = fitted
    assert epochs == [(done + 1, SMALL.epochs) for done in range(len(network.losses))]
    steps = np.arange(1, len(network.rates) + 1) * -(-1200 // SMALL.batch_size)
    better = np.diff(np.r_[np.inf, network.validation_losses]) < 0
    factor = np.cumprod(np.where(better, 1.05, 0.5))
    expected = SMALL.initial_rate / (1 + SMALL.decay_rate * steps / SMALL.decay_steps) * factor
    assert network.rates == pytest.approx(expected, rel=1e-5)


def test_exported_graph_scores_like_keras_for_any_number_of_rows(fitted, tmp_path):
    network, rows, _, _ = fitted
    manifest = Manifest("v", "mlp", "f", {"user": 3, "content": 4, "context": 2}, "", {}, {}, {})
    save(tmp_path, network.to_onnx(rows), manifest=manifest)
    bundle = load(tmp_path, feature_set="f")
    for n in (1, 2, 300):
        part = rows.rows(slice(0, n))
        given = {"user": part.user, "content": part.content, "context": part.context}
        assert bundle.score_rows(given) == pytest.approx(network.outputs(part)[:, 0], abs=1e-5)


def test_graph_of_another_network_is_caught_at_export(fitted):
    network, rows, _, _ = fitted

    class Other:
        def predict(self, given, **_):
            return network.model.predict(given, verbose=0) + 0.01

        def export(self, *arguments, **named):
            network.model.export(*arguments, **named)

    with pytest.raises(ExportError, match=r"differs by 1\.00e-02"):
        FittedNetwork(Other(), (), (), ()).to_onnx(rows)


def test_standardisation_is_fixed_by_training_rows_so_a_row_scores_the_same_in_any_company(fitted):
    network, rows, _, _ = fitted
    alone = network.outputs(rows.rows(slice(0, 1)))[0]
    shifted = FeatureMatrix(rows.user + 500, rows.content + 5, rows.context)
    company = FeatureMatrix(*(np.concatenate([a[:1], b]) for a, b in (
        (rows.user, shifted.user), (rows.content, shifted.content), (rows.context, shifted.context))))  # fmt: skip
    assert network.outputs(company)[0] == pytest.approx(alone, abs=1e-5)


def test_constant_and_exotic_columns_stay_finite():
    rng = np.random.default_rng(3)
    rows, label = world(rng, 200)
    rows.user[:, 0] = 4.0
    network = fit_network(
        long_views(rows, label), long_views(rows, label), config=NetworkConfig((4,), epochs=1), seed=1
    )
    far = FeatureMatrix(rows.user + 1e6, rows.content * 1e6, rows.context)
    assert np.isfinite(network.outputs(far)).all()


def test_empty_side_is_refused():
    rows, label = world(np.random.default_rng(0), 10)
    with pytest.raises(ValueError, match="got 10 and 0"):
        fit_network(long_views(rows, label), long_views(rows.rows(slice(0, 0)), label[:0]), config=SMALL, seed=1)


def test_no_rows_get_no_scores(fitted):
    assert len(fitted[0].outputs(fitted[1].rows(slice(0, 0)))) == 0
