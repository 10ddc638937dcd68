import threading

import numpy as np
import pytest

from features.embeddings import index as index_module
from features.embeddings.index import RECALL, VectorError, VectorIndex, kind_of, probing_vectors, recall


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


KINDS = ["flat", "ivf"]


def clustered(n, d=24, centres=40, seed=0):
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(centres, d))
    vectors = (middle[rng.integers(0, centres, n)] + 0.7 * rng.normal(size=(n, d))).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def exact(vectors, query, k, allowed=None):
    products = vectors @ query
    if allowed is not None:
        products[~allowed] = -np.inf
    return np.argsort(-products, kind="stable")[:k]


def test_the_rule_is_flat_up_to_its_limit_and_lists_above():
    assert kind_of(0) == kind_of(index_module.FLAT_LIMIT) == "flat"
    assert kind_of(index_module.FLAT_LIMIT + 1) == "ivf"


def test_above_the_limit_the_index_is_tuned_to_its_recall(monkeypatch):
    monkeypatch.setattr(index_module, "FLAT_LIMIT", 1000)
    vectors = clustered(20_000)
    index = VectorIndex.build(vectors)
    assert index.kind == "ivf"
    queries = probing_vectors(vectors[::-1], 100)
    found = np.array([index.search(query, 100)[0] for query in queries])
    assert recall(found, np.array([exact(vectors, query, 100) for query in queries])) > RECALL - 0.01
    assert 0 < index.probes < 566, "and does not look into every list for it"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.9, 0.3, 0.01, 0.0005])
def test_a_hidden_row_never_comes_out_and_all_that_are_allowed_can(kind, share):
    vectors = clustered(8_000)
    index = VectorIndex.build(vectors, kind=kind)
    rng = np.random.default_rng(3)
    for query in clustered(8, seed=5):
        # Hidden are the nearest ones above all: a mask that stands right in the way.
        allowed = rng.random(8_000) < share
        allowed[exact(vectors, query, 400)] = False
        allowed[rng.integers(8_000)] = True
        rows, products = index.search(query, 50, allowed)
        assert allowed[rows].all()
        assert len(rows) == len(set(rows.tolist())) == min(50, int(allowed.sum()))
        assert (np.diff(products) <= 0).all()
        if kind == "flat" or share < 0.01:
            assert sorted(rows.tolist()) == sorted(exact(vectors, query, len(rows), allowed).tolist())


@pytest.mark.parametrize("kind", KINDS)
def test_when_nothing_is_allowed_nothing_comes_out(kind):
    vectors = clustered(500)
    index = VectorIndex.build(vectors, kind=kind)
    assert len(index.search(vectors[0], 10, np.zeros(500, np.bool_))[0]) == 0
    with pytest.raises(ValueError, match="a mask of 3 rows for an index of 500"):
        index.search(vectors[0], 10, np.ones(3, np.bool_))


@pytest.mark.parametrize("kind", KINDS)
def test_asking_for_all_rows_gives_all_of_them(kind):
    vectors = clustered(700)
    rows, _ = VectorIndex.build(vectors, kind=kind).search(vectors[3], 9_999)
    assert sorted(rows.tolist()) == list(range(700))


@pytest.mark.parametrize("kind", KINDS)
def test_added_rows_are_found_and_a_loaded_index_takes_none(kind, tmp_path):
    vectors = clustered(900)
    index = VectorIndex.build(vectors[:800], kind=kind)
    index.add(vectors[800:])
    assert index.search(vectors[850], 1)[0].tolist() == [850]
    with pytest.raises(ValueError, match=r"rows of shape \(2, 3\) do not fit an index of 24 dimensions"):
        index.add(np.zeros((2, 3), np.float32))
    index.save(tmp_path / "index.faiss")
    loaded = VectorIndex.load(tmp_path / "index.faiss")
    assert (len(loaded), loaded.kind, loaded.probes) == (900, kind, index.probes)
    assert loaded.search(vectors[850], 20)[0].tolist() == index.search(vectors[850], 20)[0].tolist()
    with pytest.raises(ValueError, match="read-only"):
        loaded.add(vectors[:1])


def test_building_twice_gives_the_same_bytes(tmp_path):
    vectors = clustered(3_000)
    for name in "ab":
        VectorIndex.build(vectors, kind="ivf").save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_index_like_an_older_one_uses_its_lists_while_they_fit(tmp_path):
    vectors = clustered(3_000)
    old = VectorIndex.build(vectors[:2_500], kind="ivf")
    old.save(tmp_path / "old")
    again = VectorIndex.build(vectors, kind="ivf", like=VectorIndex.load(tmp_path / "old"))
    assert again._index.nlist == old._index.nlist
    assert len(again) == 3_000
    assert again.search(vectors[2_900], 1)[0].tolist() == [2_900]
    outgrown = VectorIndex.build(vectors, kind="ivf", like=VectorIndex.build(vectors[:600], kind="ivf"))
    assert outgrown._index.nlist == VectorIndex.build(vectors, kind="ivf")._index.nlist


def test_rows_without_a_direction_can_be_indexed():
    vectors = np.concatenate([clustered(500), np.zeros((50, 24), np.float32)])
    for kind in KINDS:
        assert len(VectorIndex.build(vectors, kind=kind).search(vectors[0], 550)[0]) == 550


@pytest.mark.parametrize("kind", ["flat", "ivf"])
@pytest.mark.parametrize("length", [0, 7, 9, 16])
def test_a_query_of_another_length_is_refused_with_both_sizes(kind, length):
    index = VectorIndex.build(unit_rows(400, 8), kind=kind)
    with pytest.raises(VectorError, match=rf"\({length},\).* 8 dimensions"):
        index.search(np.ones(length, np.float32), 3)


@pytest.mark.parametrize("rows", [0, 1, 5, 14, 15, 40])
def test_rows_too_few_for_lists_are_searched_one_by_one(rows):
    vectors = unit_rows(rows, 4)
    index = VectorIndex.build(vectors, kind="ivf")
    assert index.kind == ("flat" if rows < 15 else "ivf")
    assert sorted(index.search(unit_rows(1, 4, seed=1)[0], rows)[0].tolist()) == list(range(rows))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["flat", "ivf"])
def test_rows_that_are_not_finite_are_refused_by_name(kind, bad):
    vectors = unit_rows(400, 8)
    vectors[5, 3] = bad
    with pytest.raises(VectorError, match="row 5 of 400"):
        VectorIndex.build(vectors, kind=kind)
    index = VectorIndex.build(unit_rows(400, 8), kind=kind)
    with pytest.raises(VectorError, match="row 0 of 2"):
        index.add(vectors[5:7])
    assert len(index) == 400


def test_what_is_no_matrix_is_refused():
    with pytest.raises(VectorError, match=r"\(8,\)"):
        VectorIndex.build(unit_rows(1, 8)[0])
