import threading

import numpy as np
import pytest

from features.embeddings.index import VectorIndex


def unit_rows(n, d, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("k", [1, 10, 500])
def test_the_neighbours_are_those_of_the_matrix_product(k):
    vectors = unit_rows(500, 16)
    index = VectorIndex.build(vectors)
    for query in unit_rows(20, 16, seed=1):
        rows, products = index.search(query, k)
        exact = vectors @ query
        assert products == pytest.approx(np.sort(exact)[::-1][:k], abs=1e-5)
        assert products == pytest.approx(exact[rows], abs=1e-5)
        assert len(set(rows.tolist())) == k


def test_asking_for_more_than_there_are_gives_all_and_for_none_gives_none():
    index = VectorIndex.build(unit_rows(3, 4))
    assert sorted(index.search(unit_rows(1, 4)[0], 10)[0].tolist()) == [0, 1, 2]
    assert index.search(unit_rows(1, 4)[0], 0)[0].tolist() == []
    assert VectorIndex.build(np.empty((0, 4), np.float32)).search(unit_rows(1, 4)[0], 5)[0].tolist() == []


def test_saving_and_loading_changes_nothing(tmp_path):
    index, query = VectorIndex.build(unit_rows(50, 8)), unit_rows(1, 8, seed=2)[0]
    index.save(tmp_path / "index.faiss")
    loaded = VectorIndex.load(tmp_path / "index.faiss")
    for mine, theirs in zip(index.search(query, 20), loaded.search(query, 20), strict=True):
        assert np.array_equal(mine, theirs)


def test_threads_may_search_at_the_same_time():
    vectors = unit_rows(2000, 32)
    index, queries = VectorIndex.build(vectors), unit_rows(8, 32, seed=3)
    expected = [index.search(query, 5)[0].tolist() for query in queries]
    found: dict[int, list[int]] = {}

    def look(at: int) -> None:
        for _ in range(50):
            found[at] = index.search(queries[at], 5)[0].tolist()

    threads = [threading.Thread(target=look, args=(at,)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[at] for at in range(8)] == expected
