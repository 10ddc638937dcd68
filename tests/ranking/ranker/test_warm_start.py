"""Training goes on from stored files: it learns what is new, forgets little, and refuses what it cannot read."""

import io
import zipfile

import numpy as np
import pytest

from ranking.evaluation.offline import auc
from ranking.ranker.multitask import fit_multitask
from ranking.ranker.warm_start import LEARNER_FILE, STATE_FILE, GoOnConfig, WarmStartError, files_of, go_on
from tests.ranking.ranker.sets import long_views
from tests.ranking.ranker.test_multitask import SMALL, world


@pytest.fixture(scope="module")
def first():
    rng = np.random.default_rng(7)
    return fit_multitask(world(rng, 1_500), world(rng, 500), config=SMALL, seed=1)


@pytest.fixture(scope="module")
def files(first):
    return files_of(first)


def turned(rng, n):
    """The same world in which long views follow the opposite."""
    made = world(rng, n)
    made.features.content[:, 0] *= -1.0
    return made


def of_long_view(ranker, test):
    label = test.labels.of("long_view").astype(np.int8)
    return auc(label, ranker.outputs(test.features)[:, ranker.columns.index("long_view")].astype(np.float64))


def test_stored_network_is_the_one_that_was_trained(first, files):
    rng = np.random.default_rng(3)
    test = world(rng, 400)
    # A rate of nothing: whatever the epochs do, the weights stay.
    same = go_on(files, world(rng, 200), test, network=SMALL, config=GoOnConfig(rate=1e-12, epochs=1), seed=1)
    assert (same.columns, same.gives) == (first.columns, first.gives)
    assert same.outputs(test.features) == pytest.approx(first.outputs(test.features), abs=1e-4)
    assert same.scale.edge_s == pytest.approx(first.scale.edge_s)
    assert same.to_onnx(test.features)


def test_it_learns_what_has_changed(first, files):
    rng = np.random.default_rng(4)
    train, held_out, test = turned(rng, 1_500), turned(rng, 500), turned(rng, 1_000)
    assert of_long_view(first, test) < 0.4
    later = go_on(
        files, train, held_out, network=SMALL, config=GoOnConfig(rate=5e-3, epochs=6, batch_size=64, patience=6), seed=1
    )
    assert of_long_view(later, test) > 0.7


def test_an_increment_that_makes_later_examples_worse_changes_nothing(first, files):
    rng = np.random.default_rng(5)
    test = world(rng, 400)
    same = go_on(files, turned(rng, 800), test, network=SMALL, config=GoOnConfig(rate=2e-2, epochs=2), seed=1)
    assert same.outputs(test.features) == pytest.approx(first.outputs(test.features), abs=1e-4)


def test_increments_follow_one_another(files):
    rng = np.random.default_rng(6)
    for seed in range(2):
        later = go_on(files, world(rng, 300), world(rng, 100), network=SMALL, config=GoOnConfig(epochs=1), seed=seed)
        files = files_of(later)
    assert of_long_view(later, world(rng, 800)) > 0.75


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda files: files.pop(LEARNER_FILE), "there is no learner.keras"),
        (lambda files: files.update({LEARNER_FILE: b"no zip"}), "learner.keras is no network"),
        (lambda files: files.update({STATE_FILE: b"no zip"}), "learner.npz cannot be read"),
        (
            lambda files: files.update({STATE_FILE: _state(columns=np.array(["wink"]))}),
            "heads that there are not: wink",
        ),
        (lambda files: files.update({STATE_FILE: _state(columns=np.array([{}], object))}), "cannot be read"),
    ],
    ids=["missing", "no network", "no arrays", "another head", "a pickle"],
)
def test_files_that_are_none_are_refused_by_name(files, change, says):
    rng, given = np.random.default_rng(8), dict(files)
    change(given)
    with pytest.raises(WarmStartError, match=says):
        go_on(given, world(rng, 60), world(rng, 60), network=SMALL, config=GoOnConfig(), seed=1)


def test_features_of_another_width_are_refused(files):
    made = world(np.random.default_rng(9), 60)
    wide = type(made.features)(made.features.user, made.features.content, np.zeros((60, 3), np.float32))
    other = long_views(wide, made.labels.of("long_view"))
    with pytest.raises(WarmStartError, match=r"takes features \[.*\] wide, these are \[.* 3\]"):
        go_on(files, other, other, network=SMALL, config=GoOnConfig(), seed=1)


def test_a_network_file_with_code_in_it_is_refused_and_not_run(files, tmp_path):
    source, target = zipfile.ZipFile(io.BytesIO(files[LEARNER_FILE])), io.BytesIO()
    harm = '{"module": "builtins", "class_name": "function", "config": "exec", "registered_name": "function"}'
    with zipfile.ZipFile(target, "w") as changed:
        for name in source.namelist():
            changed.writestr(name, harm if name == "config.json" else source.read(name))
    rng = np.random.default_rng(10)
    with pytest.raises(WarmStartError, match="is no network"):
        go_on(
            {**files, LEARNER_FILE: target.getvalue()}, world(rng, 60), world(rng, 60), network=SMALL,
            config=GoOnConfig(), seed=1,
        )  # fmt: skip


def _state(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()
