"""Skip-gram vectors over sessions, and the user vectors made of them."""

import subprocess
import sys

import numpy as np
import pytest

from features.embeddings import word2vec
from features.embeddings.word2vec import ItemVectors, fit, of_rows

N = 24


def two_worlds(*, sessions=200, length=12, seed=0):
    """Sessions that stay among the even or among the odd contents; 22 and 23 are never met."""
    rng = np.random.default_rng(seed)
    session = np.repeat(np.arange(sessions), length)
    return session, 2 * rng.integers(0, 11, len(session)) + session % 2


@pytest.fixture(scope="module")
def model():
    return fit(*two_worlds(), N, epochs=30)


def test_contents_of_one_world_lie_closer_than_those_of_two(model):
    unit = model.vector / np.linalg.norm(model.vector, axis=1, keepdims=True)
    cosine = unit @ unit.T
    same = np.equal.outer(model.items % 2, model.items % 2) & ~np.eye(22, dtype=bool)
    assert cosine[same].mean() > cosine[np.not_equal.outer(model.items % 2, model.items % 2)].mean() + 0.3


def test_every_content_that_was_met_has_a_vector_of_128_dimensions(model):
    assert model.items.tolist() == list(range(22))
    assert model.vector.shape == (22, 128)
    assert np.linalg.norm(model.user_vector(np.array([3, 5]))) == pytest.approx(1.0, abs=1e-5)


def test_a_user_goes_where_their_world_is(model):
    scores = model.scores(np.array([0, 4, 8]))
    assert min(scores[row] for row in range(2, 22, 2)) > max(scores[row] for row in range(1, 22, 2))
    assert scores[[22, 23]].tolist() == [0.0, 0.0]


def test_a_user_vector_is_the_decayed_mean_of_the_last_vectors():
    vectors = of_rows(np.array([1, 3]), np.array([[1.0, 0.0], [0.0, 1.0]], np.float32), 5)
    assert vectors.user_vector(np.array([1, 3]), decay=0.75) == pytest.approx(np.array([0.6, 0.8]))
    assert vectors.user_vector(np.array([1, 3]), decay=1.0) == pytest.approx(np.sqrt([0.5, 0.5]))
    assert vectors.user_vector(np.array([1, 1, 3]), last=1) == pytest.approx(np.array([0.0, 1.0]))
    unknown_between = vectors.user_vector(np.array([1, 2, 3]), decay=0.5)
    assert unknown_between == pytest.approx(np.array([0.25, 1.0]) / np.sqrt(1.0625)), "an unknown one takes its step"


def test_without_a_known_positive_there_is_no_vector_and_no_score(model):
    for positives in (np.array([22]), np.empty(0, np.int64)):
        assert model.user_vector(positives) is None
        assert not model.scores(positives).any()


def test_fitting_twice_gives_the_same_vectors_and_too_little_gives_none(model):
    assert np.array_equal(fit(*two_worlds(), N, epochs=30).vector, model.vector)
    assert fit(np.zeros(39, np.int64), np.arange(39) % 5, 5) is None


def test_saving_and_loading_changes_nothing(model, tmp_path):
    model.save(tmp_path)
    loaded = ItemVectors.load(tmp_path)
    assert np.array_equal(loaded.scores(np.array([3, 5])), model.scores(np.array([3, 5])))
    assert ItemVectors.load(tmp_path / "nowhere") is None


def test_vectors_move_with_their_contents_and_leave_with_them(model):
    to = np.random.default_rng(4).permutation(30)[:N]
    to[5] = -1
    moved = model.on(to, 30)
    known = [row for row in range(22) if row != 5]
    assert moved.scores(to[[3, 7]])[to[known]] == pytest.approx(model.scores(np.array([3, 7]))[known], abs=1e-6)
    assert 5 not in moved.items or len(moved.items) == 21
    assert (np.diff(moved.items) > 0).all()


def test_serving_does_not_import_gensim():
    code = (
        "import sys, numpy as np; from features.embeddings import word2vec as w; "
        "w.of_rows(np.array([0]), np.ones((1, 2), np.float32), 2).scores(np.array([0])); "
        "from features import snapshot_files; sys.exit('gensim' in sys.modules or 'scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_defaults_are_those_of_the_source_design():
    assert (word2vec.DIMENSIONS, word2vec.WINDOW) == (128, 5)
