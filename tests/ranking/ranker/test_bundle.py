"""A bundle is trusted only when every byte is what the manifest says and the feature set is the code's."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from ranking.ranker import bundle
from ranking.ranker.bundle import BundleError, FeatureSetError, Manifest, NonFiniteScoresError
from ranking.ranker.heads import COLUMN, HEADS, PRIOR_CHANCE
from tests.ranking.ranker.graphs import plain_graph

DIMS = {"user": 1, "content": 2, "context": 1}


@dataclass
class Blocks:
    user: np.ndarray
    content: np.ndarray
    context: np.ndarray


def blocks(n, user=1.0):
    content = np.arange(2 * n, dtype=np.float32).reshape(n, 2)
    return Blocks(np.array([user], np.float32), content, np.zeros((n, 1), np.float32))


@pytest.fixture
def folder(tmp_path):
    manifest = Manifest("ranker-1", "mlp", "set-a", DIMS, "2026-11-23T00:00:00+00:00", {"seed": 1}, {"auc": 0.7}, {})
    hashes = bundle.save(tmp_path, plain_graph(DIMS), manifest=manifest)
    return tmp_path, hashes


def test_saved_bundle_loads_with_everything_it_was_given(folder):
    path, hashes = folder
    loaded = bundle.load(path, feature_set="set-a", manifest_sha256=hashes["manifest.json"])
    assert (loaded.version, loaded.feature_set) == ("ranker-1", "set-a")
    assert loaded.manifest.metrics == {"auc": 0.7}
    assert loaded.manifest.files == {"ranker.onnx": hashes["ranker.onnx"]}
    assert loaded.score(blocks(3)) == pytest.approx([0.01, 0.05, 0.09])


def test_bundle_of_one_output_answers_every_head(folder):
    loaded = bundle.load(folder[0], feature_set="set-a")
    heads = dict(zip(loaded.outputs, loaded.heads(blocks(3)).T, strict=True))
    assert set(heads) == {*HEADS, "watch_s", "debiased_watch_s"}
    assert heads["like"] == pytest.approx(PRIOR_CHANCE[COLUMN["like"]])
    assert heads["debiased_watch_s"] == pytest.approx(3.0 + 15.0 * heads["long_view"])
    assert loaded.heads(blocks(0)).shape == (0, len(loaded.outputs))


def test_batch_equals_single_and_order_follows_the_candidates(folder):
    loaded = bundle.load(folder[0], feature_set="set-a")
    many = blocks(5)
    order = [3, 0, 4]
    assert loaded.score(Blocks(many.user, many.content[order], many.context[order])) == pytest.approx(
        [0.13, 0.01, 0.17]
    )
    assert loaded.score(Blocks(many.user, many.content[:0], many.context[:0])).shape == (0,)


def test_scores_that_are_not_finite_are_an_error_not_a_ranking(folder):
    loaded = bundle.load(folder[0], feature_set="set-a")
    with pytest.raises(NonFiniteScoresError, match="ranker-1 gave 3 of 3 scores"):
        loaded.score(blocks(3, user=-1.0))


def test_features_of_another_width_are_named(folder):
    loaded = bundle.load(folder[0], feature_set="set-a")
    wide = blocks(2)
    with pytest.raises(ValueError, match="content features are 3 wide; ranker-1 takes 2"):
        loaded.score(Blocks(wide.user, np.zeros((2, 3), np.float32), wide.context))


def test_bundle_of_another_feature_set_is_refused(folder):
    with pytest.raises(FeatureSetError, match="feature set set-a, the code has set-b"):
        bundle.load(folder[0], feature_set="set-b")


@pytest.mark.parametrize("name", ["ranker.onnx", "manifest.json"])
def test_one_changed_byte_is_noticed(folder, name):
    path, hashes = folder
    content = (path / name).read_bytes()
    (path / name).write_bytes(content[:-2] + b" " + content[-1:])
    with pytest.raises(BundleError, match=f"{name} is damaged"):
        bundle.load(path, feature_set="set-a", manifest_sha256=hashes["manifest.json"])


@pytest.mark.parametrize("name", ["ranker.onnx", "manifest.json"])
def test_missing_file_is_named(folder, name):
    (folder[0] / name).unlink()
    with pytest.raises(BundleError, match=f"{name} cannot be read"):
        bundle.load(folder[0], feature_set="set-a")


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"version": "x"}'])
def test_manifest_of_another_shape_is_refused(folder, content):
    (folder[0] / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match="is not a manifest"):
        bundle.load(folder[0], feature_set="set-a")


def test_graph_that_onnx_runtime_cannot_read_is_refused_even_when_its_hash_fits(tmp_path):
    bundle.save(tmp_path, b"no graph", manifest=Manifest("v", "mlp", "s", DIMS, "", {}, {}, {}))
    with pytest.raises(BundleError, match="not a graph"):
        bundle.load(tmp_path, feature_set="s")


def test_manifest_without_the_graph_is_refused(folder):
    manifest = json.loads((folder[0] / "manifest.json").read_text()) | {"files": {}}
    (folder[0] / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"does not list ranker\.onnx"):
        bundle.load(folder[0], feature_set="set-a")
