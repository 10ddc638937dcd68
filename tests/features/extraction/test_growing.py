"""A snapshot that takes contents in says of them what a new snapshot would say."""

import numpy as np
import pytest

from events.columnar.interactions import ContentTable
from features.embeddings import behaviour
from features.extraction.content import content_block
from features.extraction.definitions import COUNTERS, DEFAULTS
from features.extraction.growing import OF_GROUP, GrowingSnapshot
from tests.features.logs import T0, snapshot_of, texts

N, FREE = 12, 5
COLUMNS = (
    "creator", "category", "language", "look", "sound", "upload_timestamp", "duration_s", "active", "embedding",
    "text_hash", "counters", "features", "popularity",
)  # fmt: skip


def known(**more):
    counters = np.random.default_rng(3).uniform(0, 9, (N, len(COUNTERS))).astype(np.float32)
    return snapshot_of(N, counters=counters, **more)


def columns_of(base, free):
    """The columns as the file of a snapshot holds them, with free rows behind."""
    columns = {}
    for name in COLUMNS:
        column = getattr(base, name)
        empty = -1 if name in {"creator", "category", "language", "look", "sound"} else 0
        columns[name] = np.concatenate([column, np.full((free, *column.shape[1:]), empty, column.dtype)])
    return columns


def growing(base, free=FREE):
    return GrowingSnapshot(base, columns_of(base, free))


def table(*rows, duration_s=9.0):
    """Contents as (id, creator, category, active)."""
    ids, creators, categories, active = zip(*rows, strict=True)
    n = len(rows)
    return ContentTable(
        content_id=texts(ids), creator_id=texts(creators), category=texts(categories), language=texts(["en"] * n),
        text=texts(["words"] * n), upload_timestamp=np.full(n, T0 + 60.0),
        duration_s=np.full(n, duration_s, np.float32), active=np.array(active), sound=np.full(n, 5, np.int32),
    )  # fmt: skip


def unit(n, seed=1):
    vectors = np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_newcomer_is_found_where_every_other_content_is():
    grown = growing(known())
    vectors = unit(2)
    rows = grown.add(table(("new-a", "k1", "g2", True), ("new-b", "k0", "g0", False)), vectors)
    snapshot = grown.snapshot
    assert rows.tolist() == [N, N + 1] == snapshot.rows(["new-a", "new-b"]).tolist()
    assert len(snapshot) == N + FREE
    assert snapshot.content_id[N] == "new-a"
    assert snapshot.creators[snapshot.creator[N]] == "k1"
    assert snapshot.categories[snapshot.category[N]] == "g2"
    assert snapshot.sound[N - 1 : N + 3].tolist() == [-1, 5, 5, -1]
    assert snapshot.active[N:].tolist() == [True, False, False, False, False]
    assert snapshot.index.search(vectors[0], 1, snapshot.active)[0].tolist() == [N]
    assert snapshot.index.search(vectors[1], 1, snapshot.active)[0].tolist() != [N + 1], "it is not active"


def test_the_features_of_a_newcomer_are_those_of_a_snapshot_with_it():
    base = known()
    grown = growing(base)
    contents = [("new-a", "k1", "g2", True), ("new-b", "nobody", "g0", True), ("new-c", "k3", "unheard", True)]
    rows = grown.add(table(*contents), unit(3))
    snapshot = grown.snapshot
    expected = content_block(
        snapshot.counters, creator=snapshot.creator, creators=len(snapshot.creators), category=snapshot.category,
        categories=len(snapshot.categories), duration_s=snapshot.duration_s,
        upload_timestamp=np.where(snapshot.content_id == "", np.inf, snapshot.upload_timestamp), until=base.until,
        receptions=base.receptions, rows=rows,
    )  # fmt: skip
    assert np.array_equal(snapshot.features[rows], expected)


def test_names_that_nobody_had_get_codes_of_their_own():
    grown = growing(known())
    before = grown.snapshot
    grown.add(table(("new-a", "nobody", "unheard", True), ("new-b", "nobody", "unheard", True)), unit(2))
    after = grown.snapshot
    assert after.creator[N] == after.creator[N + 1] == after.creator_of["nobody"] == len(before.creators)
    assert after.categories[after.category[N]] == "unheard"
    assert "nobody" not in before.creator_of, "who reads the one before has no array as long as that code"
    assert set(after.creator[:N]) == set(known().creator)


def test_what_comes_again_is_described_anew_and_keeps_its_row():
    grown = growing(known())
    grown.add(table(("new-a", "k1", "", True)), np.zeros((1, 6), np.float32))
    vector = unit(1)
    rows = grown.add(table(("new-a", "k1", "g1", True)), vector)
    assert rows.tolist() == [N]
    assert grown.free == FREE - 1
    assert grown.snapshot.categories[grown.snapshot.category[N]] == "g1"
    assert np.array_equal(grown.snapshot.embedding[N], vector[0])


def test_without_free_rows_the_rest_is_left_out():
    grown = growing(known(), free=2)
    rows = grown.add(table(*((f"new-{at}", "k1", "g1", True) for at in range(4))), unit(4))
    assert rows.tolist() == [N, N + 1]
    assert grown.free == 0
    assert grown.arrived == ["new-0", "new-1"]
    assert grown.add(table(("new-9", "k1", "g1", True)), unit(1)).tolist() == []


def test_a_content_of_the_base_is_withdrawn_and_comes_back():
    grown = growing(known())
    grown.revise(table(("c003", "k3", "g0", False)))
    assert not grown.snapshot.active[3]
    grown.revise(table(("c003", "k3", "g1", True), ("unknown", "k1", "g1", True)))
    assert grown.snapshot.active[3]
    assert grown.snapshot.categories[grown.snapshot.category[3]] == "g1"
    assert not grown.has("unknown")


def test_who_was_erased_from_the_base_does_not_come_back():
    base = known()
    grown = GrowingSnapshot(base.without(["c003"]), columns_of(base, FREE))
    assert not grown.snapshot.embedding[3].any()
    assert not grown.snapshot.counters[3].any()
    assert np.array_equal(grown.snapshot.features[3], DEFAULTS["content"])
    grown.revise(table(("c003", "k3", "g0", True)))
    assert not grown.snapshot.active[3]
    new = grown.add(table(("new-a", "k3", "g0", True)), unit(1))
    of_group = OF_GROUP["creator"]
    assert np.array_equal(grown.snapshot.features[new[0]][of_group], base.features[7][of_group]), "of the same creator"


def test_a_newcomer_that_was_erased_leaves_nothing():
    grown = growing(known())
    grown.add(table(("new-a", "k1", "g1", True), ("new-b", "k1", "g1", True)), unit(2))
    assert grown.forget(["new-a", "c003"]).tolist() == [N]
    snapshot = grown.snapshot
    assert snapshot.rows(["new-a", "new-b", "c003"]).tolist() == [-1, N + 1, 3]
    assert grown.arrived == ["new-b"]
    assert not snapshot.active[N]
    assert not snapshot.embedding[N].any()
    assert "new-a" not in snapshot.content_id
    assert snapshot.creator[N] == snapshot.category[N] == -1


def test_models_of_behaviour_have_a_score_for_every_row():
    user, row = np.repeat(np.arange(40), 5), np.tile(np.arange(5), 40)
    model = behaviour.fit(user, row, N)
    grown = growing(known(sequential=model))
    scores = grown.snapshot.sequential.scores(np.array([2]))
    assert np.array_equal(scores[:N], model.scores(np.array([2])))
    assert scores[N:].tolist() == [0.0] * FREE


def test_a_search_refuses_a_mask_of_another_length():
    grown = growing(known())
    with pytest.raises(ValueError, match="a mask of 12 rows for an index of 17"):
        grown.snapshot.index.search(unit(1)[0], 1, np.ones(N, np.bool_))


def test_a_search_over_base_and_newcomers_is_the_exact_one():
    grown = growing(known(), free=40)
    vectors = unit(30, seed=9)
    grown.add(table(*((f"new-{at:02d}", "k1", "g1", at % 3 > 0) for at in range(30))), vectors)
    snapshot = grown.snapshot
    asked = unit(1, seed=5)[0]
    rows, cosine = snapshot.index.search(asked, 9, snapshot.active)
    exact = np.where(snapshot.active, snapshot.embedding @ asked, -np.inf)
    assert rows.tolist() == np.argsort(-exact)[:9].tolist()
    assert cosine == pytest.approx(exact[rows], abs=1e-6)
