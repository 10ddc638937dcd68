import numpy as np
import pytest

from features.embeddings import behaviour
from features.embeddings.behaviour import SequentialItemModel, Settings, fit
from features.embeddings.statistics import Channel, SequenceStatistics


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


def dense(user, row, n, history):
    """Scores without sums, pruning or item selection: prefix by prefix, user by user."""
    channels, settings = behaviour.DEFAULT.channels, behaviour.DEFAULT
    blocks = [[] for _ in channels]
    t = []
    for end in range(1, len(row)):
        if user[end] != user[end - 1]:
            continue
        for block, channel in zip(blocks, channels, strict=True):
            block.append(looking_back(row[:end][user[:end] == user[end]], n, channel))
        t.append(np.eye(n)[row[end]])
    s, t = np.hstack([np.array(block) for block in blocks]), np.array(t)
    means = [np.trace(np.array(block).T @ np.array(block)) / n for block in blocks]
    ridge = [min(r, behaviour.RIDGE_LIMIT * max(m, 1.0)) for r, m in zip(settings.ridge, means, strict=True)]
    b = np.linalg.solve(s.T @ s + np.diag(np.repeat(ridge, n)), s.T @ t)
    x = np.array([np.bincount(row[user == each], minlength=n) > 0 for each in np.unique(user)], float)
    p = np.linalg.inv(x.T @ x + min(settings.ease_ridge, behaviour.RIDGE_LIMIT * x.sum() / n) * np.eye(n))
    e = -p / np.diag(p)
    np.fill_diagonal(e, 0.0)
    regression = np.hstack([looking_back(history, n, channel) for channel in channels]) @ b
    ease = (np.bincount(history, minlength=n) > 0) @ e
    return regression + settings.ease_weight * regression.std() / ease.std() * ease


def looking_back(history, n, channel):
    vector = np.zeros(n)
    for lag, row in enumerate(history[::-1][: channel.lags]):
        vector[row] += channel.decay**lag
    return vector


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
    user, row = np.repeat(np.arange(25), 60), rng.integers(0, 14, 1500)
    user, row = behaviour.without_repeats(user, row)
    model = fit(user, row, 14)
    for history in ([3], [3, 5], [5, 3], list(range(14)), [7, 6, 7], [*range(13), *range(13), *range(13), 13]):
        expected = dense(user, row, 14, np.array(history))
        assert model.scores(np.array(history)) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(ease_weight=0.0),
        Settings(channels=(), ridge=()),
        Settings(channels=(Channel(0.8, 20),), ridge=(400.0,), ease_weight=0.4),
    ],
)
def test_each_part_alone_answers_for_the_world_it_saw(settings):
    rng = np.random.default_rng(2)
    user = np.repeat(np.arange(60), 15)
    row = 2 * rng.integers(0, 10, len(user)) + user % 2
    scores = fit(user, row, 20, settings=settings).scores(np.array([0, 4, 8]))
    others = [row for row in range(0, 20, 2) if row not in {0, 4, 8}]
    assert scores[others].min() > scores[1::2].max()


def test_sums_that_grew_event_by_event_give_the_model_of_a_fit():
    rng = np.random.default_rng(5)
    user, row = behaviour.without_repeats(np.sort(rng.integers(0, 20, 400)), rng.integers(0, 9, 400))
    sums = SequenceStatistics(9, channels=behaviour.DEFAULT.channels)
    for part in np.array_split(np.arange(len(user)), 7):
        sums.add(user[part], row[part])
    grown, whole = behaviour.solve(sums, np.arange(9), 9), fit(user, row, 9)
    assert grown.scores(np.array([2, 5])) == pytest.approx(whole.scores(np.array([2, 5])), abs=1e-5)
    with pytest.raises(ValueError, match="channels"):
        behaviour.solve(sums, np.arange(9), 9, settings=Settings(channels=()))


def test_only_the_largest_entries_of_a_row_are_kept(monkeypatch):
    monkeypatch.setattr(behaviour, "KEPT_PER_ITEM", 3)
    model = fit(*walks(np.roll(np.arange(10), -1)), 10)
    assert model.successor.shape == (10, 3)
    for row in range(10):
        assert int(np.argmax(model.scores(np.array([row])))) == (row + 1) % 10


def test_scores_of_some_rows_are_those_of_all():
    model = fit(*walks(np.roll(np.arange(10), -1)), 12)
    history, rows = np.array([1, 2, 3]), np.array([11, 4, 0, 4])
    assert np.array_equal(model.scores_of(history, rows), model.scores(history)[rows])
    assert model.scores_of(history, np.empty(0, np.int64)).shape == (0,)


def test_an_empty_or_unknown_history_scores_zero():
    model = fit(*walks(np.roll(np.arange(10), -1)), 12)
    assert not model.scores(np.empty(0, np.int64)).any()
    assert not model.scores(np.array([11])).any()


def test_only_the_last_hundred_of_a_history_count():
    model = fit(*walks(np.roll(np.arange(10), -1)), 10)
    recent = np.tile([4, 5], 50)
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
    model = fit(*walks(np.roll(np.arange(10), -1)), 10, settings=Settings(ease_weight=0.0))
    to = np.arange(10) - 1
    moved = model.on(to, 9)
    before = model.scores(np.array([4, 6]))
    assert moved.scores(np.array([3, 5])) == pytest.approx(before[1:])
