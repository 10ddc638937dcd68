import numpy as np
import pytest

from features.embeddings import behaviour
from features.embeddings.behaviour import SequentialItemModel, fit


def walks(successor, *, users=30, length=20, seed=0):
    """Users who start anywhere and always go on as `successor` says."""
    rng = np.random.default_rng(seed)
    user, row = [], []
    for each in range(users):
        at = int(rng.integers(len(successor)))
        for _ in range(length):
            user.append(each)
            row.append(at)
            at = int(successor[at])
    return np.array(user), np.array(row)


def dense(user, row, n):
    """The model without sparse matrices, pruning or item selection, prefix by prefix."""
    s, t = [], []
    for end in range(1, len(row)):
        if user[end] != user[end - 1]:
            continue
        vector = np.zeros(n)
        for lag in range(behaviour.LAGS):
            at = end - 1 - lag
            if at >= 0 and user[at] == user[end]:
                vector[row[at]] += behaviour.LAG_DECAY**lag
        s.append(vector)
        t.append(np.eye(n)[row[end]])
    gram = np.array(s).T @ np.array(s)
    ridge = behaviour.RIDGE * np.trace(gram) / n
    return np.linalg.solve(gram + ridge * np.eye(n), np.array(s).T @ np.array(t))


def test_a_fixed_successor_is_found_for_every_content():
    successor = np.random.default_rng(1).permutation(20)
    successor = np.where(successor == np.arange(20), (successor + 1) % 20, successor)
    model = fit(*walks(successor), 20)
    for row in range(20):
        assert int(np.argmax(model.scores(np.array([row])))) == successor[row]


def test_the_order_of_a_history_matters():
    model = fit(*walks(np.roll(np.arange(10), -1)), 10)
    assert int(np.argmax(model.scores(np.array([2, 6])))) == 7
    assert int(np.argmax(model.scores(np.array([6, 2])))) == 3


def test_on_a_checkerboard_even_histories_are_followed_by_even_contents():
    rng = np.random.default_rng(2)
    user = np.repeat(np.arange(60), 15)
    row = 2 * rng.integers(0, 10, len(user)) + user % 2
    model = fit(user, row, 20)
    scores = model.scores(np.array([0, 4, 8]))
    others = [row for row in range(0, 20, 2) if row not in {0, 4, 8}]
    assert scores[others].min() > scores[1::2].max()


def test_the_solution_is_that_of_the_dense_formula():
    rng = np.random.default_rng(3)
    user, row = np.repeat(np.arange(25), 12), rng.integers(0, 14, 300)
    user, row = behaviour._without_repeats(user, row)
    model, b = fit(user, row, 14), dense(user, row, 14)
    for history in ([3], [3, 5], [5, 3], list(range(14)), [7, 7]):
        weights = behaviour.LAG_DECAY ** np.arange(len(history))[::-1]
        assert model.scores(np.array(history)) == pytest.approx(weights @ b[history], abs=1e-4)


def test_scores_of_some_rows_are_those_of_all():
    model = fit(*walks(np.roll(np.arange(10), -1)), 12)
    history, rows = np.array([1, 2, 3]), np.array([11, 4, 0, 4])
    assert np.array_equal(model.scores_of(history, rows), model.scores(history)[rows])
    assert model.scores_of(history, np.empty(0, np.int64)).shape == (0,)


def test_an_empty_or_unknown_history_scores_zero():
    model = fit(*walks(np.roll(np.arange(10), -1)), 12)
    assert not model.scores(np.empty(0, np.int64)).any()
    assert not model.scores(np.array([11])).any()


def test_only_the_last_twenty_of_a_history_count():
    model = fit(*walks(np.roll(np.arange(10), -1)), 10)
    recent = np.tile([4, 5], 10)
    assert np.array_equal(model.scores(recent), model.scores(np.concatenate([[8, 9, 1], recent])))


def test_too_few_transitions_give_no_model():
    assert fit(np.zeros(15, np.int64), np.arange(15), 15) is None
    assert fit(np.empty(0, np.int64), np.empty(0, np.int64), 0) is None
    assert fit(np.arange(50), np.arange(50), 50) is None, "fifty users with one content each have no transition"


def test_a_content_enjoyed_twice_in_a_row_is_one_step():
    user, row = walks(np.roll(np.arange(10), -1))
    once, twice = fit(user, row, 10), fit(np.repeat(user, 2), np.repeat(row, 2), 10)
    assert np.array_equal(once.weight, twice.weight)


def test_only_the_most_met_contents_take_part():
    user, row = walks(np.roll(np.arange(10), -1), users=40)
    rare = np.r_[user, np.repeat(99, 3)], np.r_[row, [10, 11, 10]]
    model = fit(*rare, 12, max_items=10)
    assert model.items.tolist() == list(range(10))
    assert not model.scores(np.array([0]))[10:].any()


def test_saving_and_loading_changes_nothing(tmp_path):
    model = fit(*walks(np.roll(np.arange(10), -1)), 10)
    model.save(tmp_path)
    loaded = SequentialItemModel.load(tmp_path)
    assert np.array_equal(loaded.scores(np.array([3, 1])), model.scores(np.array([3, 1])))
    assert SequentialItemModel.load(tmp_path / "nowhere") is None


def test_a_model_moves_with_its_contents_to_other_rows():
    model = fit(*walks(np.roll(np.arange(10), -1)), 10)
    to = np.random.default_rng(4).permutation(15)[:10]
    moved = model.on(to, 15)
    scores = moved.scores(to[[3, 5]])
    assert np.array_equal(scores[to], model.scores(np.array([3, 5])))
    assert not np.delete(scores, to).any()


def test_contents_that_are_gone_leave_the_model_and_the_rest_stays():
    model = fit(*walks(np.roll(np.arange(10), -1)), 10)
    to = np.arange(10) - 1
    moved = model.on(to, 9)
    before = model.scores(np.array([4, 6]))
    assert moved.scores(np.array([3, 5])) == pytest.approx(before[1:])
