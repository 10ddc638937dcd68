"""A cap counts exactly its window, and gives way only where nothing else is left."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from ranking.rerank.caps import WindowCap, first_of, relaxed


@pytest.mark.parametrize(("most", "window"), [(1, 1), (1, 2), (2, 5), (2, 10), (3, 4)])
def test_blocked_is_what_a_recount_of_the_window_says(most, window):
    rng = np.random.default_rng(6)
    codes = rng.integers(-1, 4, size=200).astype(np.int32)
    cap, shown = WindowCap(codes, most, window, "creator_cap"), []
    for pick in rng.permutation(200):
        recent = Counter(shown[max(len(shown) - window + 1, 0) :])
        expected = [code >= 0 and recent[code] >= most for code in codes.tolist()]
        assert cap.blocked().tolist() == expected
        cap.take(int(pick))
        shown.append(int(codes[pick]))


def test_each_level_allows_more_than_the_one_before():
    rng = np.random.default_rng(2)
    free, blocked = rng.random(50) < 0.5, [rng.random(50) < 0.5 for _ in range(3)]
    levels = relaxed(free, blocked)
    assert len(levels) == 4
    for stricter, looser in pairwise(levels):
        assert not (stricter & ~looser).any()
    assert levels[0].tolist() == (free & ~blocked[0] & ~blocked[1] & ~blocked[2]).tolist()
    assert levels[-1].tolist() == free.tolist()


def test_nothing_left_is_an_error():
    with pytest.raises(ValueError, match="no candidate"):
        first_of([np.zeros(3, bool)])


@pytest.mark.parametrize(("most", "window"), [(0, 5), (2, 0)])
def test_a_cap_that_allows_nothing_is_refused(most, window):
    with pytest.raises(ValueError, match="cap"):
        WindowCap(np.zeros(1, np.int32), most, window, "creator_cap")
