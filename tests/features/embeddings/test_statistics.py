"""Sums of sequences: equal to the products they stand for, whatever the order, and erased without a trace."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.embeddings.statistics import EXACT_TO, Channel, SequenceStatistics

CHANNELS = (Channel(0.5, 3), Channel(0.9, 7))
M = 6
events = st.lists(st.tuples(st.integers(0, 4), st.integers(0, M - 1)), max_size=60)


def products(sequences):
    """H'H and H'T by building every history, X'X by building every set."""
    histories, steps = [], []
    for sequence in sequences:
        for end in range(1, len(sequence)):
            row = np.zeros((len(CHANNELS), M))
            for c, channel in enumerate(CHANNELS):
                for lag, item in enumerate(sequence[:end][::-1][: channel.lags]):
                    row[c, item] += channel.decay**lag
            histories.append(row.ravel())
            steps.append(np.eye(M)[sequence[end]])
    h, t = np.array(histories).reshape(-1, len(CHANNELS) * M), np.array(steps).reshape(-1, M)
    x = np.array([[item in sequence for item in range(M)] for sequence in sequences], float).reshape(-1, M)
    return h.T @ h, h.T @ t, x.T @ x


def by_user(rows):
    return [[item for each, item in rows if each == user] for user in sorted({each for each, _ in rows})]


def sums_of(rows, cuts=1):
    sums = SequenceStatistics(M, channels=CHANNELS)
    for part in np.array_split(np.array(rows, np.int64).reshape(-1, 2), cuts):
        sums.add(part[:, 0], part[:, 1])
    return sums


def same(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("user", "item", "earlier", "target", "together")
    )


@given(events)
def test_the_sums_are_the_products_of_histories_that_were_never_built(rows):
    sums = sums_of(rows)
    gram, target, together = products(by_user(rows))
    tolerance = 200 * len(rows) / EXACT_TO
    assert sums.gram() == pytest.approx(gram, abs=tolerance, rel=1e-5)
    assert sums.target.reshape(-1, M) == pytest.approx(target, abs=tolerance)
    assert np.array_equal(sums.together, together)


@given(events, st.integers(1, 9))
def test_events_in_any_portions_give_the_very_same_bits(rows, cuts):
    assert same(sums_of(rows, cuts), sums_of(rows))


@given(events, st.sets(st.integers(0, 4)))
def test_a_forgotten_user_leaves_the_bits_of_a_world_without_them(rows, gone):
    sums = sums_of(rows, 3)
    sums.forget(np.array(sorted(gone), np.int64))
    assert same(sums, sums_of([(user, item) for user, item in rows if user not in gone]))


def test_saving_and_loading_changes_nothing_and_the_sums_go_on(tmp_path):
    rows = [(1, 0), (1, 2), (2, 5), (1, 3), (2, 2)]
    sums = sums_of(rows[:3])
    sums.save(tmp_path / "sums.npz")
    loaded = SequenceStatistics.load(tmp_path / "sums.npz")
    assert loaded.channels == CHANNELS
    loaded.add(np.array([1, 2]), np.array([3, 2]))
    assert same(loaded, sums_of(rows))
    assert loaded.steps == 3


def test_an_item_outside_is_named_and_nothing_is_counted():
    sums = sums_of([(1, 0)])
    with pytest.raises(ValueError, match="item 6 is none of the 6 items"):
        sums.add(np.array([1, 1]), np.array([2, 6]))
    assert same(sums, sums_of([(1, 0)]))


@pytest.mark.parametrize(("decay", "lags"), [(0.0, 3), (1.5, 3), (0.5, 0), (float("nan"), 3)])
def test_a_channel_that_cannot_look_back_is_refused(decay, lags):
    with pytest.raises(ValueError, match="decay in"):
        Channel(decay, lags)


@given(events, events)
def test_whole_sequences_in_the_place_of_others_leave_the_sums_of_them_alone(before, after):
    sums, wanted = sums_of(before), sums_of(after)
    changed = sums.replace(wanted.user, wanted.item)
    assert same(sums, wanted)
    assert changed <= len({user for user, _ in before + after})
    assert sums.replace(wanted.user, wanted.item) == 0


@given(events, st.permutations(range(M)), st.sets(st.integers(0, M - 1)))
def test_the_sums_follow_their_items_to_other_numbers_and_forget_who_had_one_that_is_gone(rows, numbers, gone):
    size = M + 2
    item = np.array([-1 if old in gone else new + 1 for old, new in enumerate(numbers)])
    moved = sums_of(rows).on(item, size)
    left = {user for user, old in rows if old in gone}
    wanted = SequenceStatistics(size, channels=CHANNELS)
    kept = [(user, item[old]) for user, old in rows if user not in left]
    wanted.add(*np.array(kept, np.int64).reshape(-1, 2).T)
    assert same(moved, wanted)
