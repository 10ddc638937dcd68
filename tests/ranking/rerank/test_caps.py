"""A cap counts exactly its window, and gives way only where nothing else is left."""

from collections import Counter

import numpy as np
import pytest

from ranking.rerank.caps import WindowCap, first_allowed, first_relaxed


@pytest.mark.parametrize(("most", "window"), [(1, 1), (1, 2), (2, 5), (2, 10), (3, 4)])
def test_blocked_is_what_a_recount_of_the_window_says(most, window):
    rng = np.random.default_rng(6)
    codes = rng.integers(-1, 4, size=200).astype(np.int32)
    cap, shown = WindowCap(codes, most, window, "creator_cap"), []
    for pick in rng.permutation(200):
        recent = Counter(shown[max(len(shown) - window + 1, 0) :])
        expected = [code >= 0 and recent[code] >= most for code in codes.tolist()]
        assert [cap.blocks(candidate) for candidate in range(200)] == expected
        cap.take(int(pick))
        shown.append(int(codes[pick]))


def test_the_first_that_all_caps_allow_wins_and_the_last_cap_yields_first():
    rng = np.random.default_rng(2)
    for _ in range(300):
        caps = [WindowCap(rng.integers(0, 3, size=50).astype(np.int32), 1, 3, "creator_cap") for _ in range(3)]
        for pick in rng.integers(0, 50, size=2).tolist():
            for cap in caps:
                cap.take(pick)
        waiting = np.flatnonzero(rng.random(50) < 0.1).tolist() or [7]
        passing = [[each for each in waiting if not any(cap.blocks(each) for cap in caps[:strict])] for strict in
                   (3, 2, 1, 0)]  # fmt: skip
        assert first_allowed(waiting, caps) == next(iter(passing[0]), None)
        assert first_relaxed(waiting, caps) == next(level[0] for level in passing if level)


def test_nothing_left_is_an_error():
    with pytest.raises(ValueError, match="no candidate"):
        first_relaxed([], [])


@pytest.mark.parametrize(("most", "window"), [(0, 5), (2, 0)])
def test_a_cap_that_allows_nothing_is_refused(most, window):
    with pytest.raises(ValueError, match="cap"):
        WindowCap(np.zeros(1, np.int32), most, window, "creator_cap")
