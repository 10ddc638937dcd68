"""The kernel is a kernel: symmetric, positive definite, one on the diagonal, and indifferent to what is unknown."""

from dataclasses import replace

import numpy as np
import pytest

from ranking.rerank.kernel import NUGGET, KernelWeights, Similarity
from tests.worlds import families

SHELF = families(size=12).shelf
ROWS = np.random.default_rng(2).permutation(len(SHELF))[:30]


def kernel(shelf=SHELF, rows=ROWS) -> np.ndarray:
    return Similarity.of(shelf, rows, KernelWeights()).matrix()


def test_it_is_the_written_sum():
    expected = 0.5 * SHELF.embedding[ROWS] @ SHELF.embedding[ROWS].T
    expected = expected + 0.3 * (SHELF.category[ROWS][:, None] == SHELF.category[ROWS])
    expected = expected + 0.2 * (SHELF.creator[ROWS][:, None] == SHELF.creator[ROWS])
    np.fill_diagonal(expected, 1.0 + NUGGET)
    np.testing.assert_allclose(kernel(), expected, atol=1e-6)


def test_copies_unknowns_and_missing_embeddings_leave_it_positive_definite():
    bare = replace(SHELF, embedding=SHELF.embedding * (np.arange(len(SHELF)) % 3 > 0)[:, None].astype(np.float32))
    bare = replace(bare, creator=np.where(np.arange(len(SHELF)) % 5 > 0, SHELF.creator, -1).astype(np.int32))
    found = kernel(bare, np.repeat(ROWS[:8], 3))
    np.testing.assert_allclose(found, found.T, atol=1e-6)
    assert np.linalg.eigvalsh(found).min() > 0.0


def test_unknown_creators_and_categories_are_alike_to_nothing():
    unknown = np.full(len(SHELF), -1, np.int32)
    found = kernel(replace(SHELF, creator=unknown, category=unknown))
    cosine = 0.5 * SHELF.embedding[ROWS] @ SHELF.embedding[ROWS].T
    off = ~np.eye(len(ROWS), dtype=bool)
    np.testing.assert_allclose(found[off], cosine[off], atol=1e-6)


def test_no_candidates_have_an_empty_kernel():
    assert kernel(rows=ROWS[:0]).shape == (0, 0)


@pytest.mark.parametrize("bad", [{"content": -0.1}, {"content": 0.6, "category": 0.5}])
def test_weights_that_make_no_kernel_are_refused(bad):
    with pytest.raises(ValueError, match="kernel weights"):
        KernelWeights(**bad)
