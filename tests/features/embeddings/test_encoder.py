"""The sequence encoder: trained, exported, saved, loaded and asked; one training serves all tests."""

import numpy as np
import pytest

from features.embeddings import behaviour, encoder, encoder_training, sampled_softmax
from features.embeddings.encoder import EncoderFileError, SequenceEncoder
from features.embeddings.encoder_training import EncoderConfig, start_vectors, windows

CONTENTS, USERS, LENGTH = 60, 120, 16
SMALL = EncoderConfig(dimensions=16, blocks=1, window=8, dropout=0.1, epochs=12, batch_size=16, rate=1e-2)


def world(rng):
    """Three out of four steps go to the successor, the content ten rows further; the rest anywhere."""
    row = np.empty((USERS, LENGTH), np.int64)
    row[:, 0] = rng.integers(0, CONTENTS, USERS)
    for step in range(1, LENGTH):
        follows = rng.random(USERS) < 0.75
        row[:, step] = np.where(follows, (row[:, step - 1] + 10) % CONTENTS, rng.integers(0, CONTENTS, USERS))
    return np.repeat(np.arange(USERS), LENGTH), row.ravel()


@pytest.fixture(scope="module")
def fitted():
    user, row = world(np.random.default_rng(0))
    start = behaviour.fit(user, row, CONTENTS + 2)
    steps = []
    found = encoder_training.fit(
        user, row, CONTENTS + 2, start=start, config=SMALL, progress=lambda done, most: steps.append((done, most))
    )
    assert steps, "a long training says how far it is"
    assert all(done <= most for done, most in steps)
    return found


def test_the_successor_comes_first_and_unknown_contents_last(fitted):
    first = [int(fitted.scores(np.array([3, 17, row])).argmax()) for row in range(CONTENTS)]
    assert np.mean(np.array(first) == (np.arange(CONTENTS) + 10) % CONTENTS) > 0.8
    scores = fitted.scores(np.array([3, 17]))
    assert scores[-2:].tolist() == [scores.min()] * 2
    assert np.isfinite(scores).all()


def test_who_enjoyed_nothing_known_gets_zeros(fitted):
    for nothing in ([], [CONTENTS], [CONTENTS + 1, CONTENTS]):
        assert not fitted.scores(np.array(nothing, np.int64)).any()
    assert fitted.scores_of_many([]).shape == (0, CONTENTS + 2)


def test_a_batch_is_scored_as_its_users_are_one_by_one(fitted):
    rng = np.random.default_rng(1)
    sequences = [rng.integers(0, CONTENTS, length) for length in (1, 5, 8, 30)] + [np.empty(0, np.int64)]
    together = fitted.scores_of_many(sequences)
    assert together == pytest.approx(np.stack([fitted.scores(each) for each in sequences]), abs=1e-4)


def test_only_the_window_is_looked_at(fitted):
    rng = np.random.default_rng(2)
    recent = rng.integers(0, CONTENTS, SMALL.window)
    older = np.append(rng.integers(0, CONTENTS, 20), recent)
    assert fitted.scores(older) == pytest.approx(fitted.scores(recent), abs=1e-5)


def test_saving_and_loading_change_nothing_and_damage_is_named(fitted, tmp_path):
    assert SequenceEncoder.load(tmp_path) is None
    fitted.save(tmp_path)
    again = SequenceEncoder.load(tmp_path)
    query = np.array([1, 2, 3])
    assert np.array_equal(again.scores(query), fitted.scores(query))
    content = bytearray((tmp_path / encoder.GRAPH_FILE).read_bytes())
    content[100] ^= 1
    (tmp_path / encoder.GRAPH_FILE).write_bytes(bytes(content))
    with pytest.raises(EncoderFileError, match=r"encoder\.onnx is damaged"):
        SequenceEncoder.load(tmp_path)
    (tmp_path / encoder.ARRAYS_FILE).unlink()
    with pytest.raises(EncoderFileError):
        SequenceEncoder.load(tmp_path)


def test_on_another_snapshot_contents_keep_their_scores_and_the_gone_are_not_found(fitted):
    moved = np.arange(CONTENTS + 2)[::-1].copy()
    moved[7] = -1
    there = fitted.on(moved, CONTENTS + 2)
    before, after = fitted.scores(np.array([3, 17])), there.scores(moved[[3, 17]])
    kept = np.flatnonzero(moved >= 0)
    assert after[moved[kept]] == pytest.approx(before[kept], abs=1e-5)
    assert after[CONTENTS + 1 - 7] == after.min()
    assert there.scores(np.array([CONTENTS + 1 - 7])).any() == np.False_


def test_an_encoder_of_another_width_than_its_items_is_refused(fitted):
    with pytest.raises(EncoderFileError, match="the graph gives 16 dimensions, the items have 9"):
        encoder.of_graph(fitted.graph, fitted.items, fitted.vector[:, :9], fitted.bias, CONTENTS + 2)


def test_too_little_to_learn_from_gives_no_encoder():
    user, row = world(np.random.default_rng(0))
    assert encoder_training.fit(user[:160], row[:160], CONTENTS) is None


def test_windows_hold_every_step_once_and_cut_elsewhere_each_time():
    rng = np.random.default_rng(3)
    sequences = [np.arange(1, length + 1) + 100 * length for length in (2, 8, 9, 10, 31)]
    expected = sorted((a, b) for each in sequences for a, b in zip(each[:-1].tolist(), each[1:].tolist(), strict=True))
    cuts = set()
    for _ in range(5):
        rows = windows(sequences, 8, rng)
        assert rows.shape[1] == 9
        pairs = [(row[i].item(), row[i + 1].item()) for row in rows for i in range(8) if row[i]]
        assert sorted(pairs) == expected
        cuts.add(tuple(sorted(row[-1].item() for row in rows)))
    assert len(cuts) > 1


def test_vectors_start_from_what_the_linear_model_sees():
    """By chance one in thirty contents would lie nearest to its successor or predecessor."""
    user, row = world(np.random.default_rng(0))
    start = behaviour.fit(user, row, CONTENTS)
    items = np.arange(CONTENTS)
    vectors = start_vectors(start, items, 32, np.random.default_rng(0))
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -np.inf)
    nearest = likeness.argmax(axis=1)
    assert np.mean((nearest - items) % CONTENTS == 10) + np.mean((items - nearest) % CONTENTS == 10) > 0.6
    noise = start_vectors(None, items, 32, np.random.default_rng(0))
    assert noise.std() == pytest.approx(encoder_training.START_DEVIATION, rel=0.1)


def test_a_large_catalogue_is_learned_from_a_drawn_part_of_it(monkeypatch):
    """The same world and the same bar, with far fewer candidates in a step than contents."""
    monkeypatch.setattr(encoder_training, "FULL_SOFTMAX", CONTENTS // 2)
    monkeypatch.setattr(sampled_softmax, "DRAWN", 8)
    user, row = world(np.random.default_rng(0))
    found = encoder_training.fit(user, row, CONTENTS, config=SMALL)
    first = [int(found.scores(np.array([3, 17, row])).argmax()) for row in range(CONTENTS)]
    assert np.mean(np.array(first) == (np.arange(CONTENTS) + 10) % CONTENTS) > 0.8
